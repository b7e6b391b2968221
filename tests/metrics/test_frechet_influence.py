"""How prompts pull a Fréchet distance: closed forms, derivatives, and what the number of prompts adds."""

from functools import reduce
from operator import add

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal
from scipy.linalg import sqrtm

from arc_eval.metrics.frechet import Gaussian, Settings, fitted, frechet_distance, gaussian_distance
from arc_eval.metrics.frechet_influence import row_influence
from arc_eval.metrics.groups import PromptGroups


def influence(x, y):
    ours, theirs = Gaussian.fit(x), Gaussian.fit(y)
    return row_influence(x, ours.mean, ours.mean - theirs.mean, ours.deviation, theirs.deviation)


def measured(x, y, owners=None):
    return Settings(extractor=EAR).build().measure(evidence(x, y, owners=owners))


def test_in_one_dimension_influence_is_that_of_squared_shift_and_squared_gap_of_deviations():
    """FD = (m - m')^2 + (s - s')^2, so dFD = 2 (m - m') (x - m) + (1 - s' / s) ((x - m)^2 - s^2)."""
    x, y = normal(40, 1), 2 * normal(50, 1, seed=1) + 3
    mean, spread, gap = x.mean(), x.std(), x - x.mean()
    expected = 2 * (mean - y.mean()) * gap + (1 - y.std() / spread) * gap.square()
    torch.testing.assert_close(influence(x, y), (expected - expected.mean()).squeeze(1))


@pytest.mark.parametrize("rows", [60, 7])  # of 10 features: full rank and deficient
def test_influence_is_the_derivative_of_mixing_a_row_into_the_distribution(rows):
    x, y = normal(rows, 10), normal(80, 10, seed=1) + 0.3
    rank = min(10, rows - 1)
    mean, covariance = x.mean(0).numpy(), np.cov(x.numpy(), rowvar=False)
    other, root = y.mean(0).numpy(), sqrtm(np.cov(y.numpy(), rowvar=False))

    def mixed(row, share):
        """The distance when the Gaussian holds a share of one more such row."""
        gap = x[row].numpy() - mean
        spread = (1 - share) * (covariance + share * np.outer(gap, gap))
        overlap = np.sqrt(np.linalg.eigvalsh(root @ spread @ root)[-rank:]).sum()
        return (
            np.square(mean + share * gap - other).sum() + spread.trace() + (root @ root).trace() - 2 * overlap
        )

    slopes = np.array([(mixed(row, 1e-6) - mixed(row, -1e-6)) / 2e-6 for row in range(rows)])
    assert influence(x, y).numpy() == pytest.approx(slopes - slopes.mean(), abs=1e-4)


def test_influence_is_that_of_leaving_out_a_prompt_when_prompts_are_many():
    x, y, owners = normal(600, 3) + 0.2, normal(100, 3, seed=1), clip_ids(200, takes=3)
    fd, _ = measured(x, y, owners)
    left = frechet_distance(x[3:].float(), y.float())
    assert 199 * (fd.value - left) == pytest.approx(fd.influence["p000"] - fd.value, rel=0.05)


def test_mean_influence_is_the_distance_and_neither_rotation_nor_order_changes_it():
    x, y, owners = normal(36, 5), normal(50, 5, seed=1), clip_ids(12, takes=3)
    fd, bias = measured(x, y, owners)
    assert np.mean(list(fd.influence.values())) == pytest.approx(fd.value)
    turn = torch.linalg.qr(normal(5, 5, seed=2)).Q
    turned, _ = measured(x @ turn, y @ turn, owners)
    assert turned.influence == pytest.approx(fd.influence, rel=1e-4)  # rows are float32
    order = torch.randperm(36, generator=torch.Generator().manual_seed(0)).tolist()
    mixed, mixed_bias = measured(x[order], y, [owners[index] for index in order])
    assert mixed.influence == pytest.approx(fd.influence, rel=1e-9)
    assert mixed_bias.value == pytest.approx(bias.value, rel=1e-6)
    twice, _ = measured(x.repeat_interleave(2, 0), y, clip_ids(12, takes=6))
    assert twice.interval.high - twice.value == pytest.approx(fd.interval.high - fd.value, rel=0.1)


def test_bias_is_what_endless_prompts_would_take_away():
    """The mean of many estimates is the mean of the distances less that of the population itself."""
    reference = (1.3 * normal(300, 6, seed=99)).float()
    found = [measured(normal(60, 6, seed=seed), reference) for seed in range(40)]
    population = Gaussian.fit(torch.cat([torch.eye(6), -torch.eye(6)]).double() * np.sqrt(11 / 2))
    endless = gaussian_distance(population, Gaussian.fit(reference))
    assert np.allclose(population.deviation.T @ population.deviation, np.eye(6))
    excess = np.mean([fd.value for fd, _ in found]) - endless
    assert np.mean([bias.value for _, bias in found]) == pytest.approx(excess, rel=0.15)
    assert {(bias.metric, bias.direction, bias.interval) for _, bias in found} == {
        ("fd_bias[ear]", "none", None)
    }


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (torch.randn(50, 4, generator=torch.Generator().manual_seed(seed)) + seed for seed in (1, 2))
    origin = y.double().mean(0)

    groups = PromptGroups.deal([f"{place % 3}#0" for place in range(50)])

    def both() -> tuple[float, torch.Tensor]:
        ours, theirs = reduce(add, fitted(x, origin, groups)), Gaussian.fit(y, origin)
        shift, centre = ours.mean - theirs.mean, origin + ours.mean
        pull = row_influence(x, centre, shift, ours.deviation, theirs.deviation)
        return gaussian_distance(ours, theirs), pull

    distance, pull = both()
    monkeypatch.setattr("arc_eval.metrics.evidence.BLOCK", 1)  # as few rows as four times the features
    in_blocks, in_parts = both()
    assert in_blocks == pytest.approx(distance, rel=1e-12)
    assert torch.allclose(in_parts, pull, rtol=1e-10, atol=1e-12)
