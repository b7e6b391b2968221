"""The stochastic DPM-Solver++ against exact solutions, and against its published formulas written out."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arc_eval.brownian import BrownianTree
from arc_eval.samplers.kdiffusion import dpmpp_2m_sde, dpmpp_3m_sde
from arc_eval.samplers.schedule import polyexponential_sigmas

DATA = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(2, 3, 4)
NOISE = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SPREAD = 0.5
BOTH = pytest.mark.parametrize("solve", [dpmpp_2m_sde, dpmpp_3m_sde])
Solver = Callable[..., Tensor]


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """The exact data when it is normal with deviation SPREAD."""
    return x * SPREAD**2 / (SPREAD**2 + sigma**2)


def curved(x: Tensor, sigma: float) -> Tensor:
    """A denoiser with no symmetry that could hide a wrong coefficient."""
    return torch.tanh(x) + 0.1 * x**2 / (1 + sigma)


def never(sigma: float, later: float) -> Tensor:
    raise AssertionError(f"noise was drawn between {sigma} and {later}")


def draws(shape: torch.Size, seed: int = 1) -> Callable[[float, float], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda sigma, later: torch.randn(shape, generator=generator, dtype=torch.float64)


@BOTH
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_known_data_is_reached_in_any_number_of_steps(solve: Solver, steps: int, eta: float) -> None:
    sigmas = polyexponential_sigmas(steps, 0.3, 500.0)
    x = DATA + 500 * NOISE
    assert torch.allclose(solve(lambda x, sigma: DATA, x, sigmas, draws(x.shape), eta=eta), DATA)


def error(solve: Solver, steps: int) -> float:
    """Distance from the exact end of the Gaussian's deterministic path, from sigma 50 to 0.1."""
    sigmas = polyexponential_sigmas(steps + 1, 0.1, 50.0)[:-1]
    first, last = (math.hypot(SPREAD, float(sigmas[end])) for end in (0, -1))
    return float((solve(gaussian, NOISE * first, sigmas, never, eta=0.0) - NOISE * last).norm())


@BOTH
def test_without_fresh_noise_both_converge_at_second_order(solve: Solver) -> None:
    """3M too: its official curvature term has half the weight that third order asks for."""
    assert error(solve, 128) / error(solve, 256) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("steps", [64, 256])
def test_in_fine_steps_a_memory_of_three_comes_closer_than_one_of_two(steps: int) -> None:
    assert error(dpmpp_3m_sde, steps) < 0.65 * error(dpmpp_2m_sde, steps)


@BOTH
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_gaussian_is_sampled_with_its_own_deviation(solve: Solver, eta: float) -> None:
    sigmas = polyexponential_sigmas(60, 0.01, 50.0)
    x = torch.randn(40000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    out = solve(gaussian, x * math.hypot(SPREAD, 50.0), sigmas, draws(x.shape, 3), eta=eta)
    assert float(out.std()) == pytest.approx(SPREAD, rel=0.02)


@BOTH
def test_fresh_noise_forgets_where_the_path_began(solve: Solver) -> None:
    sigmas = polyexponential_sigmas(60, 0.01, 50.0)
    x = torch.randn(20000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    kept, fresh = (solve(gaussian, 50 * x, sigmas, draws(x.shape, 3), eta=eta) for eta in (0.0, 1.0))
    assert float(torch.corrcoef(torch.stack((x, kept)))[0, 1]) == pytest.approx(1)
    assert abs(float(torch.corrcoef(torch.stack((x, fresh)))[0, 1])) < 0.05


def written_out_3m(x: Tensor, sigmas: Tensor, noise: Callable[[float, float], Tensor], eta: float) -> Tensor:
    """The published step, line by line in float64 tensors."""
    d1 = d2 = h1 = h2 = None
    for now, later in pairwise(sigmas):
        d = curved(x, float(now))
        if later == 0:
            return d
        h = now.log() - later.log()
        he = h * (1 + eta)
        x = torch.exp(-he) * x + (1 - torch.exp(-he)) * d
        phi2 = (torch.exp(-he) - 1) / he + 1
        phi3 = phi2 / he - 0.5
        if d2 is not None:
            r0, r1 = h1 / h, h2 / h
            a, b = (d - d1) / r0, (d1 - d2) / r1
            x = x + phi2 * (a + (a - b) * r0 / (r0 + r1)) - phi3 * (a - b) / (r0 + r1)
        elif d1 is not None:
            x = x + phi2 * (d - d1) / (h1 / h)
        if eta:
            x = x + noise(float(now), float(later)) * later * (1 - torch.exp(-2 * h * eta)).sqrt()
        d1, d2, h1, h2 = d, d1, h, h1
    return x


def written_out_2m(x: Tensor, sigmas: Tensor, noise: Callable[[float, float], Tensor], eta: float) -> Tensor:
    d1 = h1 = None
    for now, later in pairwise(sigmas):
        d = curved(x, float(now))
        if later == 0:
            return d
        h = now.log() - later.log()
        gain = 1 - torch.exp(-h * (1 + eta))
        x = later / now * torch.exp(-eta * h) * x + gain * d
        if d1 is not None:
            x = x + 0.5 * gain * h / h1 * (d - d1)
        if eta:
            x = x + noise(float(now), float(later)) * later * (1 - torch.exp(-2 * h * eta)).sqrt()
        d1, h1 = d, h
    return x


@pytest.mark.parametrize(
    ("solve", "written_out"), [(dpmpp_2m_sde, written_out_2m), (dpmpp_3m_sde, written_out_3m)]
)
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9])
def test_steps_are_the_published_formulas(solve: Solver, written_out: Solver, eta: float, steps: int) -> None:
    sigmas = polyexponential_sigmas(steps, 0.3, 20.0, rho=1.5)
    expected = written_out(20 * NOISE, sigmas, draws(NOISE.shape), eta)
    assert torch.allclose(solve(curved, 20 * NOISE, sigmas, draws(NOISE.shape), eta=eta), expected, rtol=1e-9)


@BOTH
def test_noise_is_asked_for_between_levels_above_zero_only(solve: Solver) -> None:
    asked: list[tuple[float, float]] = []

    def noise(sigma: float, later: float) -> Tensor:
        asked.append((sigma, later))
        return torch.zeros_like(NOISE)

    sigmas = polyexponential_sigmas(5, 0.3, 20.0)
    solve(gaussian, NOISE, sigmas, noise)
    assert asked == list(pairwise(sigmas[:-1].tolist()))
    solve(gaussian, NOISE, sigmas, never, eta=0.0)


@BOTH
def test_no_fresh_strength_leaves_the_drift_alone(solve: Solver) -> None:
    sigmas = polyexponential_sigmas(6, 0.3, 20.0)
    silent = solve(curved, NOISE, sigmas, lambda now, later: torch.zeros_like(NOISE))
    assert torch.equal(solve(curved, NOISE, sigmas, draws(NOISE.shape), s_noise=0.0), silent)


@BOTH
def test_float32_stays_float32_and_near_float64(solve: Solver) -> None:
    sigmas = polyexponential_sigmas(30, 0.3, 500.0)
    noise = BrownianTree([1, 2], NOISE.shape[1:], 0.3, 500.0)
    out = solve(gaussian, (500 * NOISE).float(), sigmas, noise)
    assert out.dtype == torch.float32
    assert torch.allclose(out.double(), solve(gaussian, 500 * NOISE, sigmas, noise), atol=1e-5)


@BOTH
def test_one_brownian_path_is_approached_by_more_and_more_steps(solve: Solver) -> None:
    """What distinguishes a path from fresh draws: finer steps end near the same clip."""
    noise = BrownianTree([5], (2000,), 0.1, 20.0)
    x = 20 * torch.randn(1, 2000, generator=torch.Generator().manual_seed(4))
    ends = [solve(gaussian, x, polyexponential_sigmas(steps, 0.1, 20.0), noise) for steps in (20, 80, 320)]
    coarse, fine = ((end - ends[-1]).norm() / ends[-1].norm() for end in ends[:2])
    assert fine < 0.6 * coarse
    assert fine < 0.15


@BOTH
def test_input_is_left_untouched(solve: Solver) -> None:
    x = NOISE.clone()
    solve(gaussian, x, polyexponential_sigmas(4, 0.3, 20.0), draws(x.shape))
    assert torch.equal(x, NOISE)
