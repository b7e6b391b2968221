"""The Fréchet distance where it is hard: full size, rank-deficient, ill-conditioned; by closed forms."""

import math

import numpy as np
import pytest
import torch
from made_evidence import normal
from scipy.linalg import sqrtm

from arc_eval.metrics.frechet import Gaussian, frechet_distance, gaussian_distance
from arc_eval.metrics.nuclear import nuclear_norm, triangle_product


def by_square_root(a, b):
    cov_a, cov_b = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    shift = np.square(a.numpy().mean(0) - b.numpy().mean(0)).sum()
    return shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(sqrtm(cov_a @ cov_b)).real


def whitened(rows, features, seed):
    """Rows whose mean is 0 and whose covariance is exactly the identity (rows > features)."""
    drawn = normal(rows, features, seed=seed)
    return torch.linalg.qr(drawn - drawn.mean(0)).Q * math.sqrt(rows - 1)


def test_distance_agrees_with_the_matrix_square_root_at_256_features():
    mix, other = normal(256, 256, seed=1) / 16, normal(256, 256, seed=2) / 16
    a, b = normal(2000, 256, seed=3) @ mix, 1.2 * normal(700, 256, seed=4) @ other + 0.1
    assert frechet_distance(a, b) == pytest.approx(by_square_root(a, b), rel=1e-8)


def test_distance_agrees_with_the_matrix_square_root_for_audiocaps_sizes_4875_and_881_rows_of_1024():
    """881 rows span 880 of the 1024 directions. Within those no covariance is singular, which the square
    root of a matrix asks for; outside them only the other trace counts."""
    mix = normal(1024, 1024, seed=1) / 32
    a, b = normal(4875, 1024, seed=2) @ mix, normal(881, 1024, seed=3) @ mix + 0.05
    spanned = torch.linalg.qr((b - b.mean(0))[:-1].T).Q
    outside = torch.cov(a.T).trace() - torch.cov((a @ spanned).T).trace()
    beside = (a.mean(0) - b.mean(0)).square().sum() - ((a.mean(0) - b.mean(0)) @ spanned).square().sum()
    inside = by_square_root(a @ spanned, b @ spanned)
    assert frechet_distance(a, b) == pytest.approx(inside + float(outside + beside), rel=1e-8)


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9, 1e-13])
def test_ill_conditioned_covariances_follow_the_closed_form(spread):
    # Diagonal covariances commute: the distance is the sum of squared differences of deviations.
    x = whitened(200, 40, seed=5)
    ours, theirs = torch.logspace(0, math.log10(spread), 40).double(), torch.linspace(1, 2, 40).double()
    expected = float((ours - ours * theirs).square().sum())
    found = frechet_distance(x * ours, x * ours * theirs)
    assert found == pytest.approx(expected, rel=1e-10)


def test_spaces_that_share_nothing_are_apart_by_both_traces():
    x = whitened(50, 20, seed=6)
    apart = torch.zeros(50, 40, dtype=torch.float64), torch.zeros(50, 40, dtype=torch.float64)
    apart[0][:, :20], apart[1][:, 20:] = x, 3 * x
    assert frechet_distance(*apart) == pytest.approx(20 + 9 * 20, rel=1e-12)


def test_constant_rows_are_apart_by_the_shift_and_the_other_trace():
    x = whitened(50, 8, seed=7)
    assert frechet_distance(torch.full((5, 8), 2.0), x) == pytest.approx(8 * 4 + 8, rel=1e-12)
    assert frechet_distance(torch.ones(5, 8), torch.ones(9, 8)) == 0.0


def test_two_rows_lie_on_a_line_and_follow_the_closed_form():
    # Covariances u u^T and v v^T: the trace of the root is |u.v|.
    u, v = normal(300, seed=8), normal(300, seed=9)
    a, b = torch.stack([u, -u]) / math.sqrt(2), torch.stack([v, -v]) / math.sqrt(2)
    expected = float(u @ u + v @ v - 2 * (u @ v).abs())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("rows", "others", "features"), [(300, 2000, 64), (40, 30, 128), (3, 400, 32)])
def test_nearly_equal_sets_are_never_below_zero(rows, others, features):
    x = normal(rows, features, seed=10)
    copies = x.repeat(math.ceil(others / rows), 1)
    for tiny in (0.0, 1e-12, 1e-7):
        assert frechet_distance(x, copies + tiny * normal(*copies.shape, seed=11)) >= 0.0


@pytest.mark.parametrize("decay", [0.0, 2.0, 12.0, 40.0])
def test_nuclear_norm_is_the_sum_of_the_singular_values_that_were_put_in(decay):
    values = torch.exp(-decay * torch.linspace(0, 1, 50, dtype=torch.float64))
    left, right = torch.linalg.qr(normal(80, 50, seed=12)).Q, torch.linalg.qr(normal(50, 50, seed=13)).Q
    matrix = left @ torch.diag(values) @ right
    assert nuclear_norm(matrix) == pytest.approx(float(values.sum()), rel=1e-12)
    assert nuclear_norm(matrix.T) == pytest.approx(float(values.sum()), rel=1e-12)


def test_nuclear_norm_of_a_matrix_without_full_rank_loses_nothing():
    thin = normal(60, 3, seed=14)
    assert nuclear_norm(thin @ thin.T) == pytest.approx(float(thin.square().sum()), rel=1e-12)
    assert nuclear_norm(torch.zeros(4, 3, dtype=torch.float64)) == 0.0
    assert nuclear_norm(torch.zeros(0, 3, dtype=torch.float64)) == 0.0


@pytest.mark.parametrize(("rows", "others"), [(9, 9), (9, 5), (5, 9), (1, 1)])
def test_product_of_a_triangle_is_the_product(rows, others):
    a, b = normal(rows, 9, seed=17).triu(), normal(others, 9, seed=18)
    torch.testing.assert_close(triangle_product(a, b), a @ b.T)


def test_merging_in_any_order_gives_the_same_distance():
    x, y = normal(60, 10, seed=15), normal(50, 10, seed=16)
    parts = [Gaussian.fit(part) for part in x.split(7)]
    forward, backward = parts[0], parts[-1]
    for part in parts[1:]:
        forward = forward + part
    for part in parts[-2::-1]:
        backward = backward + part
    reference = Gaussian.fit(y)
    assert gaussian_distance(forward, reference) == pytest.approx(frechet_distance(x, y), rel=1e-11)
    assert gaussian_distance(backward, reference) == pytest.approx(frechet_distance(x, y), rel=1e-11)
