"""The straight path from data to noise; time t runs from 0 (data) to 1 (noise).

x_t = (1 - t) x_0 + t eps, velocity v = eps - x_0, log-SNR = ln((1 - t) / t).
Source: arXiv 2505.08175 section 2; every module that needs these formulas takes them from here.
"""

import torch
from torch import Tensor


def expand(
    t: Tensor,  # float[clip]
    like: Tensor,  # float[clip, ...]
) -> Tensor:
    """Reshapes per-clip times so that they broadcast over `like`."""
    return t.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)


def interpolate(
    data: Tensor,  # float[clip, ...]
    noise: Tensor,  # float[clip, ...]
    t: Tensor,  # float[clip]
) -> Tensor:
    """The point of the path at time t: data at 0, noise at 1."""
    t = expand(t, data)
    return (1 - t) * data + t * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """What a rectified-flow network regresses onto: the path's derivative in t."""
    return noise - data


def denoised(
    x: Tensor,  # float[clip, ...]
    velocity: Tensor,  # float[clip, ...]
    t: Tensor,  # float[clip]
) -> Tensor:
    """The data that a velocity at (x, t) points back to: x - t v."""
    return x - expand(t, x) * velocity


def log_snr(t: Tensor) -> Tensor:
    """ln((1 - t) / t): +inf at data, -inf at noise."""
    return torch.log1p(-t) - torch.log(t)


def time_of_log_snr(log_snr: Tensor) -> Tensor:
    """The inverse of `log_snr`."""
    return torch.sigmoid(-log_snr)
