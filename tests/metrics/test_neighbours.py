"""Nearest neighbours by products: the same answers as by differences, copies and ties included."""

import math

import numpy as np
import pytest
import torch
from made_evidence import normal

from arc_eval.metrics import neighbours
from arc_eval.metrics.evidence import distances
from arc_eval.metrics.manifold import neighbourhoods
from arc_eval.metrics.neighbours import Squares, kth_nearest, pair_distances


def by_sorting(rows, k, keep):
    """Every row's distance to its k-th nearest other kept row, from the whole matrix."""
    whole = distances(rows, rows)
    whole.fill_diagonal_(torch.inf)
    found = whole[:, keep].sort(1).values[:, k - 1]
    return torch.where(keep, found, 0.0)


def on_a_grid(seed):
    """Rows with many copies and many equal distances, where rounding would decide."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (300, 4), generator=rng).double() / 10 + 7


@pytest.mark.parametrize(
    "rows", [normal(400, 12), normal(400, 3) + 1e6, on_a_grid(0)], ids=["plain", "far off", "grid"]
)
@pytest.mark.parametrize("elements", [2**22, 1000])
def test_radii_equal_sorting_the_whole_matrix_to_the_last_bit(rows, elements, monkeypatch):
    monkeypatch.setattr(neighbours, "_ELEMENTS", elements)
    kept = torch.rand(3, len(rows), generator=torch.Generator().manual_seed(1)) < 0.9
    kept[0] = True
    for found, keep in zip(kth_nearest(rows, 5, kept), kept, strict=True):
        assert torch.equal(found, by_sorting(rows, 5, keep))


@pytest.mark.parametrize(
    ("a", "b"), [(normal(50, 8), normal(70, 8, seed=1)), (on_a_grid(0), on_a_grid(1))], ids=["plain", "grid"]
)
def test_closer_equals_comparing_the_differences(a, b):
    exact = distances(a, b)
    squares = Squares.of(a, b)
    for radius in (exact[:, :1], exact[3], torch.tensor(0.0).double(), exact.median()):
        assert torch.equal(squares.closer(radius), exact < radius)


def test_distances_of_pairs_have_the_bits_of_the_whole_matrix():
    a, b = normal(9, 37), normal(11, 37, seed=1)
    first, second = torch.cartesian_prod(torch.arange(9), torch.arange(11)).T
    assert torch.equal(pair_distances(a, b, first, second).reshape(9, 11), distances(a, b))


def literal_prdc(real, fake, k):
    """Precision, recall, density, coverage of Naeem et al., written from the paper's formulas in numpy."""

    def matrix(x, y):
        return np.sqrt(np.square(x[:, None, :] - y[None, :, :]).sum(-1))

    real_radius = np.sort(matrix(real, real), 1)[:, k]
    fake_radius = np.sort(matrix(fake, fake), 1)[:, k]
    d = matrix(real, fake)
    return (
        (d < real_radius[:, None]).any(0).mean(),
        (d < fake_radius[None, :]).any(1).mean(),
        (d < real_radius[:, None]).sum(0).mean() / k,
        (d.min(1) < real_radius).mean(),
    )


def shares(generated, reference, k):
    (found,) = neighbourhoods(torch.from_numpy(generated), torch.from_numpy(reference), k)
    return found.precision, found.recall, found.density, found.coverage


@pytest.mark.parametrize(
    ("real", "fake", "features", "k"), [(300, 200, 16, 5), (90, 400, 3, 3), (60, 61, 128, 10)]
)
def test_shares_equal_the_literal_formulas_and_the_prdc_package(real, fake, features, k):
    random = np.random.default_rng(real)
    reference, generated = random.normal(size=(real, features)), random.normal(0.1, 0.9, (fake, features))
    found = shares(generated, reference, k)
    assert found == pytest.approx(literal_prdc(reference, generated, k), rel=1e-14)
    prdc = pytest.importorskip("prdc", reason="the prdc package is not installed")
    theirs = prdc.compute_prdc(reference, generated, nearest_k=k)
    names = ("precision", "recall", "density", "coverage")
    assert found == pytest.approx([theirs[name] for name in names], rel=1e-14)


@pytest.mark.parametrize(
    ("n", "m", "k", "expected"), [(200, 150, 5, 0.9410), (1000, 1000, 5, 0.9690), (1000, 1000, 3, 0.8754)]
)
def test_coverage_of_like_sets_is_near_its_published_expectation(n, m, k, expected):
    assert 1 - math.prod((n - i) / (m + n - i) for i in range(1, k + 1)) == pytest.approx(expected, abs=5e-5)
    found = shares(normal(m, 8, seed=n + m).numpy(), normal(n, 8, seed=k).numpy(), k)
    assert found[3] == pytest.approx(expected, abs=0.05)
