"""Schedules against their published values and formulas."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from arc_eval.samplers.schedule import linear_times, log_snr_times, polyexponential_sigmas

PUBLISHED = {
    (1, 1.0): [1, 0],
    (2, 1.0): [1, 0.880797, 0],
    (4, 1.0): [1, 0.982014, 0.880797, 0.5, 0],
    (8, 1.0): [1, 0.993307, 0.982014, 0.952574, 0.880797, 0.731059, 0.5, 0.268941, 0],
    (8, 0.8): [0.8, 0.723723, 0.631747, 0.529075, 0.423883, 0.325164, 0.239864, 0.171261, 0],
    (16, 1.0): [
        *(1, 0.995930, 0.993307, 0.989013, 0.982014, 0.970688, 0.952574, 0.924142, 0.880797),
        *(0.817574, 0.731059, 0.622459, 0.5, 0.377541, 0.268941, 0.182426, 0),
    ],
}


@pytest.mark.parametrize(("steps", "sigma_max"), PUBLISHED)
def test_times_are_the_published_ones(steps: int, sigma_max: float) -> None:
    expected = torch.tensor(PUBLISHED[steps, sigma_max], dtype=torch.float32)
    assert torch.allclose(log_snr_times(steps, sigma_max), expected, atol=1e-6)


def test_ends_are_exact() -> None:
    times = log_snr_times(7, 0.3)
    assert times[0] == torch.tensor(0.3)
    assert times[-1] == 0
    assert times.dtype == torch.float32


LEVELS = (1.0, 1 - 1e-9, 0.9, 0.5, 0.2, 0.12, 0.1193, 0.119203, 0.1192, 0.119, 0.1, 0.05, 1e-3, 1e-6, 1e-9)
"""Noise levels down to none; log-SNR 2, where the official schedule ends, is 0.119203."""


@pytest.mark.parametrize("sigma_max", LEVELS)
def test_times_fall_strictly_at_every_level_and_number_of_steps(sigma_max: float) -> None:
    for steps in range(1, 51):
        times = log_snr_times(steps, sigma_max)
        assert (times.diff() < 0).all(), steps
        assert times[[0, -1]].tolist() == pytest.approx([sigma_max, 0], rel=1e-6)


@pytest.mark.parametrize("sigma_max", [level for level in LEVELS if 0.1193 <= level < 1])
def test_times_are_even_up_to_the_official_end_wherever_that_lies_ahead(sigma_max: float) -> None:
    steps = 10
    begin = math.log((1 - sigma_max) / sigma_max + 1e-6)
    expected = torch.sigmoid(-torch.linspace(begin, 2, steps + 1, dtype=torch.float64))
    assert log_snr_times(steps, sigma_max)[1:-1].tolist() == pytest.approx(expected[1:-1].tolist(), rel=1e-6)


def test_times_that_begin_beyond_the_official_end_are_even_in_log_snr() -> None:
    times = log_snr_times(8, 0.01).double()[:-1]
    widths = (torch.log1p(-times) - torch.log(times)).diff()
    assert widths.tolist() == pytest.approx([0.5] * 7, rel=1e-4)


def test_the_log_snr_where_noise_alone_begins_can_be_chosen() -> None:
    expected = torch.sigmoid(-torch.linspace(-6.2, 2, 9))
    assert log_snr_times(8, start=-6.2)[1:-1].tolist() == pytest.approx(expected[1:-1].tolist(), rel=1e-6)
    assert torch.equal(log_snr_times(8, 0.5, start=-6.2), log_snr_times(8, 0.5))


@pytest.mark.parametrize(("steps", "sigma_max"), [(0, 1.0), (4, 0.0), (4, 1.1)])
def test_impossible_schedules_are_refused(steps: int, sigma_max: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in|at least 1"):
        log_snr_times(steps, sigma_max)


def test_polyexponential_sigmas_fall_evenly_in_log_and_end_in_zero() -> None:
    sigmas = polyexponential_sigmas(100, 0.3, 500.0)
    assert sigmas.shape == (101,)
    assert sigmas[-1] == 0
    assert sigmas[[0, -2]].tolist() == pytest.approx([500, 0.3], rel=1e-12)
    widths = sigmas[:-1].log().diff()
    assert torch.allclose(widths, widths[0].expand(99))


def test_polyexponential_sigmas_are_the_published_formula() -> None:
    """Five levels from e^4 to 1, squared ramp: exponents 4 (1 - i/4)^2."""
    found = polyexponential_sigmas(5, 1.0, math.exp(4), rho=2.0)
    assert found[:-1].log().tolist() == pytest.approx([4, 2.25, 1, 0.25, 0], abs=1e-12)


def test_one_polyexponential_step_starts_at_the_top() -> None:
    assert polyexponential_sigmas(1, 0.3, 500.0).tolist() == pytest.approx([500, 0])


def test_linear_times_are_even_and_end_exactly() -> None:
    assert linear_times(4).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert linear_times(3, 0.6).tolist() == pytest.approx([0.6, 0.4, 0.2, 0])
    assert linear_times(7, 0.3).dtype == torch.float32


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (linear_times, (0,)),
        (linear_times, (4, 0.0)),
        (linear_times, (4, 1.5)),
        (polyexponential_sigmas, (0, 0.3, 500.0)),
        (polyexponential_sigmas, (4, 0.0, 500.0)),
        (polyexponential_sigmas, (4, 500.0, 0.3)),
        (polyexponential_sigmas, (4, 0.3, 500.0, 0.0)),
    ],
)
def test_impossible_levels_are_refused(schedule: Callable[..., Tensor], arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"must lie in|at least 1|sigma_min < sigma_max|rho must be"):
        schedule(*arguments)
