"""Samplers against velocities whose paths are known exactly."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from arc_eval.flow import expand
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.pingpong import pingpong
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.samplers.velocity import Velocity

DATA = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
NOISE = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


def towards_data(x: Tensor, t: Tensor) -> Tensor:
    """The exact velocity when the data is one known point."""
    return (x - DATA) / expand(t, x)


def gaussian(x: Tensor, t: Tensor, spread: float = 0.5) -> Tensor:
    """The exact velocity when the data is normal with deviation `spread`: the path is x_1 times a scale."""
    t = expand(t, x)
    variance = ((1 - t) * spread) ** 2 + t**2
    return x * (t - (1 - t) * spread**2) / variance


def ping(velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    return pingpong(velocity, x, times, lambda: torch.randn(x.shape, generator=draws))


@pytest.mark.parametrize("sampler", [euler, dpmpp_2m, ping])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_known_data_is_reached_in_any_number_of_steps(
    sampler: Callable[[Velocity, Tensor, Tensor], Tensor], steps: int
) -> None:
    assert torch.allclose(sampler(towards_data, NOISE, log_snr_times(steps)), DATA, atol=1e-5)


def error(sampler: Callable[[Velocity, Tensor, Tensor], Tensor], steps: int) -> float:
    """Distance from the exact end of the Gaussian path, started at t = 0.9 and stopped at t = 0.1."""
    times = torch.linspace(0.9, 0.1, steps + 1, dtype=torch.float64)
    start = NOISE.double()
    scale = [(((1 - t) * 0.5) ** 2 + t**2) ** 0.5 for t in (0.9, 0.1)]
    return float((sampler(gaussian, start, times) - start * scale[1] / scale[0]).norm())


def test_euler_is_of_first_order() -> None:
    assert error(euler, 64) / error(euler, 128) == pytest.approx(2, rel=0.1)


def test_dpmpp_is_of_second_order() -> None:
    assert error(dpmpp_2m, 64) / error(dpmpp_2m, 128) == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_ping_pong_gives_the_data_distribution_to_a_network_that_jumps_to_the_end_of_its_path(
    steps: int,
) -> None:
    def jumping(x: Tensor, t: Tensor) -> Tensor:
        t = expand(t, x)
        end = x * 0.5 / (((1 - t) * 0.5) ** 2 + t**2).sqrt()
        return (x - end) / t

    x = torch.randn(4, 8, 4096, generator=torch.Generator().manual_seed(2))
    assert float(ping(jumping, x, log_snr_times(steps)).std()) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_ping_pong_draws_noise_between_steps_only(steps: int) -> None:
    draws: list[Tensor] = []

    def renoise() -> Tensor:
        draws.append(NOISE)
        return NOISE

    pingpong(towards_data, NOISE, log_snr_times(steps), renoise)
    assert len(draws) == steps - 1


@pytest.mark.parametrize("sampler", [euler, dpmpp_2m, ping])
def test_input_noise_is_left_untouched(sampler: Callable[[Velocity, Tensor, Tensor], Tensor]) -> None:
    x = NOISE.clone()
    sampler(towards_data, x, log_snr_times(3))
    assert torch.equal(x, NOISE)
