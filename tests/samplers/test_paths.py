"""The two paths as mixtures of data and noise that a network's output undoes."""

import pytest
import torch

from arc_eval.samplers.paths import COSINE, STRAIGHT, Path
from arc_eval.samplers.vdiffusion import denoiser, sigma_of_time, time_of_sigma

DRAWS = torch.Generator().manual_seed(0)
DATA, NOISE = torch.randn(2, 5, 3, 4, generator=DRAWS, dtype=torch.float64)
TIMES = torch.tensor([0.01, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)
BOTH = pytest.mark.parametrize("path", [STRAIGHT, COSINE])


@BOTH
def test_a_path_leads_from_data_to_noise(path: Path) -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    first, last = path.noised(DATA[:2], NOISE[:2], ends)
    assert torch.allclose(first, DATA[0])
    assert torch.allclose(last, NOISE[1])
    assert torch.allclose(path.noise_level(ends), ends)


@BOTH
def test_the_exact_output_is_what_points_back_to_the_data(path: Path) -> None:
    x = path.noised(DATA, NOISE, TIMES)
    assert torch.allclose(path.data(x, path.output(x, DATA, TIMES), TIMES), DATA)


@BOTH
def test_the_output_does_not_ask_for_the_noise_that_data_and_x_decide(path: Path) -> None:
    """On both paths the output is the derivative of x by the path's own angle or time."""
    by = {STRAIGHT: 1.0, COSINE: torch.pi / 2}[path]
    ahead, behind = (path.noised(DATA, NOISE, TIMES + step) for step in (1e-6, -1e-6))
    output = path.output(path.noised(DATA, NOISE, TIMES), DATA, TIMES)
    assert torch.allclose((ahead - behind) / 2e-6 / by, output, atol=1e-7)


@BOTH
def test_data_moves_against_the_output_by_the_noise_level(path: Path) -> None:
    x, push = path.noised(DATA, NOISE, TIMES), torch.randn(DATA.shape, generator=DRAWS, dtype=torch.float64)
    moved = path.data(x, NOISE + push, TIMES) - path.data(x, NOISE, TIMES)
    assert torch.allclose(moved, -path.noise_level(TIMES)[:, None, None] * push)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0, 500.0])
def test_time_and_sigma_are_inverse(sigma: float) -> None:
    assert sigma_of_time(time_of_sigma(sigma)) == pytest.approx(sigma, rel=1e-9)
    assert 0 <= time_of_sigma(sigma) < 1


def test_equal_parts_of_noise_and_data_lie_in_the_middle_of_the_path() -> None:
    assert time_of_sigma(1.0) == pytest.approx(0.5)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 500.0])
def test_a_denoiser_sees_the_data_of_the_scaled_path(sigma: float) -> None:
    def exact(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        assert torch.allclose(x, COSINE.noised(DATA, NOISE, t))
        return COSINE.output(x, DATA, t)

    assert torch.allclose(denoiser(exact)(DATA + sigma * NOISE, sigma), DATA)


def test_a_network_that_sees_nothing_gives_the_weighted_input() -> None:
    """c_skip = 1 / (sigma^2 + 1), by hand."""
    assert torch.allclose(denoiser(lambda x, t: torch.zeros_like(x))(DATA, 3.0), DATA / 10)
    # c_out c_in = -sigma / (sigma^2 + 1) for one that returns its input.
    assert torch.allclose(denoiser(lambda x, t: x)(DATA, 3.0), DATA / 10 - DATA * 3 / 10)
