"""Time distributions against their published quantiles."""

import pytest
import torch

from arc_eval.losses.times import TIMES, draw_times

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PUBLISHED = {
    "uniform": PROBABILITIES,
    "logit_normal": (0.089, 0.162, 0.338, 0.500, 0.663, 0.838, 0.912),
    "logsnr_uniform": (0.128, 0.168, 0.500, 0.881, 0.982, 0.996, 0.997),
    "trunc_logit_normal": (0.096, 0.174, 0.364, 0.539, 0.713, 0.898, 0.968),
    "log_snr": (0.031, 0.111, 0.462, 0.769, 0.927, 0.989, 0.997),
}
MEANS = {
    "uniform": 0.5,
    "logit_normal": 0.5,
    "logsnr_uniform": 0.7344,
    "trunc_logit_normal": 0.538,
    "log_snr": 0.675,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_quantiles_are_the_published_ones(name: str) -> None:
    found = TIMES[name](torch.tensor(PROBABILITIES, dtype=torch.float64))
    assert found.tolist() == pytest.approx(PUBLISHED[name], abs=2e-3)


@pytest.mark.parametrize("name", MEANS)
def test_means_of_draws_are_the_published_ones(name: str) -> None:
    times = draw_times(TIMES[name], 4096, torch.Generator().manual_seed(0))
    assert float(times.mean()) == pytest.approx(MEANS[name], abs=2e-3)


@pytest.mark.parametrize("name", TIMES)
def test_draws_are_decided_by_the_generator_and_lie_on_the_path(name: str) -> None:
    first, second = (draw_times(TIMES[name], 64, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.dtype == torch.float32
    assert bool(((first >= 0) & (first <= 1)).all())


def test_draws_cover_the_distribution_evenly() -> None:
    times = draw_times(TIMES["uniform"], 8, torch.Generator().manual_seed(1))
    assert sorted((times * 8).long().tolist()) == list(range(8))


def test_every_table_has_every_distribution() -> None:
    assert set(TIMES) == set(PUBLISHED) == set(MEANS)
