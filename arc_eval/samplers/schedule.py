"""When a sampler visits the path: times or noise levels fall from noise to data (0)."""

import math

import torch
from torch import Tensor

from arc_eval.flow import time_of_log_snr

END = 2.0
"""The log-SNR after which the official schedule jumps to the data."""

ONWARDS = 4.0
"""How far a start near that end or beyond it is followed: half of what the official schedule spans."""


def log_snr_times(steps: int, sigma_max: float = 1.0, start: float = -6.0) -> Tensor:
    """float32[steps + 1], evenly spaced in log-SNR from `start` to 2; the ends are exactly sigma_max and 0.

    Below 1, sigma_max is where a partly noised clip begins (style transfer), and spacing begins at its own
    log-SNR in place of `start`. With so little noise that this is 2 or more (sigma_max below 0.12), the
    official times stand still or rise, and a sampler would add noise that it never takes out; there they
    go on to a log-SNR of 4 more than the first, and fall like all others.
    Raises ValueError unless steps >= 1 and 0 < sigma_max <= 1. Source: stable-audio-tools, `sample_rf`.
    """
    _refuse_no_steps(steps)
    if not 0 < sigma_max <= 1:
        raise ValueError(f"sigma_max must lie in (0, 1], not {sigma_max}")
    # The 1e-6 is the official code's; it moves the start by less than float32 can show.
    first = start if sigma_max == 1 else math.log((1 - sigma_max) / sigma_max + 1e-6)
    official = _even_log_snr(steps, sigma_max, first, END)
    if bool((official.diff() < 0).all()):
        return official
    return _even_log_snr(steps, sigma_max, first, max(END, first + ONWARDS))


def _even_log_snr(steps: int, sigma_max: float, first: float, last: float) -> Tensor:
    times = time_of_log_snr(torch.linspace(first, last, steps + 1, dtype=torch.float64))
    times[0], times[-1] = sigma_max, 0.0
    return times.float()


def linear_times(steps: int, start: float = 1.0) -> Tensor:
    """float32[steps + 1], evenly spaced from `start` to exactly 0.

    Raises ValueError unless steps >= 1 and 0 < start <= 1. Source: stable-audio-tools, `sample` (DDIM).
    """
    _refuse_no_steps(steps)
    if not 0 < start <= 1:
        raise ValueError(f"start must lie in (0, 1], not {start}")
    return torch.linspace(start, 0.0, steps + 1, dtype=torch.float64).float()


def polyexponential_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """float64[steps + 1]: `steps` levels from sigma_max to sigma_min in the power `rho` of their log, then 0.

    Levels are deviations of noise added to unscaled data (variance exploding); rho 1 spaces them evenly
    in log. One step has sigma_max alone. Kept in float64: solvers and Brownian clocks take its logarithm.
    Raises ValueError unless steps >= 1 and 0 < sigma_min < sigma_max and rho > 0.
    Source: k-diffusion, `get_sigmas_polyexponential`.
    """
    _refuse_no_steps(steps)
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigmas must satisfy 0 < sigma_min < sigma_max, not {sigma_min} and {sigma_max}")
    if rho <= 0:
        raise ValueError(f"rho must be positive, not {rho}")
    low, high = math.log(sigma_min), math.log(sigma_max)
    ramp = torch.linspace(1, 0, steps, dtype=torch.float64) ** rho
    sigmas = torch.exp(ramp * (high - low) + low)
    return torch.cat((sigmas, sigmas.new_zeros(1)))


def _refuse_no_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"a sampler needs at least 1 step, not {steps}")
