"""DDIM against velocities whose paths are known exactly."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arc_eval.samplers.ddim import ddim
from arc_eval.samplers.paths import COSINE
from arc_eval.samplers.schedule import linear_times

DRAWS = torch.Generator().manual_seed(0)
DATA, NOISE = torch.randn(2, 2, 3, 4, generator=DRAWS, dtype=torch.float64)
SPREAD = 0.5


def towards_data(x: Tensor, t: Tensor) -> Tensor:
    """The exact output when the data is one known point."""
    return COSINE.output(x, DATA.to(x), t)


def gaussian(x: Tensor, t: Tensor) -> Tensor:
    """The exact output when the data is normal with deviation SPREAD."""
    angle = (t * math.pi / 2).reshape(-1, *[1] * (x.ndim - 1))
    variance = (angle.cos() * SPREAD) ** 2 + angle.sin() ** 2
    return x * angle.sin() * angle.cos() * (1 - SPREAD**2) / variance


def never() -> Tensor:
    raise AssertionError("noise was drawn")


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_known_data_is_reached_in_any_number_of_steps(steps: int, eta: float) -> None:
    found = ddim(towards_data, NOISE, linear_times(steps), lambda: torch.randn_like(NOISE), eta=eta)
    assert torch.allclose(found, DATA)


def test_a_partly_noised_clip_is_cleaned_from_where_it_is() -> None:
    x = COSINE.noised(DATA, NOISE, torch.full((2,), 0.4, dtype=torch.float64))
    assert torch.allclose(ddim(towards_data, x, linear_times(3, 0.4), never), DATA)


def test_a_step_is_a_turn_by_the_difference_of_angles() -> None:
    """x cos(d) - v sin(d): with small angles Euler's step, exact for as long as v is."""
    times = torch.tensor([0.9, 0.6, 0.2], dtype=torch.float64)
    found, x = ddim(gaussian, NOISE, times, never), NOISE
    for now, later in pairwise(times):
        turn = (now - later) * math.pi / 2
        x = turn.cos() * x - turn.sin() * gaussian(x, now.expand(2))
    assert torch.allclose(found, x)


def error(steps: int) -> float:
    """Distance from the exact end of the Gaussian path, started at t = 0.9 and stopped at t = 0.1."""
    times = torch.linspace(0.9, 0.1, steps + 1, dtype=torch.float64)
    first, last = (
        math.hypot(math.cos(t * math.pi / 2) * SPREAD, math.sin(t * math.pi / 2)) for t in (0.9, 0.1)
    )
    return float((ddim(gaussian, first * NOISE, times, never) - last * NOISE).norm())


def test_ddim_is_of_first_order() -> None:
    assert error(64) / error(128) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_gaussian_is_sampled_with_its_own_deviation(eta: float) -> None:
    x = torch.randn(20000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    stream = torch.Generator().manual_seed(3)
    out = ddim(
        gaussian, x, linear_times(200), lambda: torch.randn(x.shape, generator=stream, dtype=x.dtype), eta=eta
    )
    assert float(out.std()) == pytest.approx(SPREAD, rel=0.03)


def test_full_fresh_noise_is_ancestral_sampling() -> None:
    """The next level's noise is then drawn given x and the data alone: x_s | x_t, x_0, by Bayes."""
    times = torch.tensor([0.8, 0.5], dtype=torch.float64)
    (a, s), (b, r) = ((math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)) for t in (0.8, 0.5))
    step_variance = s**2 - (a / b * r) ** 2
    mean = (a / b) * r**2 / s**2 * NOISE + b * step_variance / s**2 * DATA
    fresh = torch.randn(NOISE.shape, generator=DRAWS, dtype=torch.float64)
    found = ddim(towards_data, NOISE, times, lambda: fresh, eta=1.0)
    assert torch.allclose(found, mean + math.sqrt(step_variance * r**2 / s**2) * fresh)


@pytest.mark.parametrize("steps", [1, 4])
def test_noise_is_drawn_between_steps_only_and_not_at_eta_zero(steps: int) -> None:
    drawn: list[Tensor] = []

    def renoise() -> Tensor:
        drawn.append(NOISE)
        return NOISE

    ddim(towards_data, NOISE, linear_times(steps), renoise, eta=1.0)
    assert len(drawn) == steps - 1
    ddim(towards_data, NOISE, linear_times(steps), never)
