"""Where on the path training looks: distributions of the time t, each as its quantile function.

t runs from 0 (data) to 1 (noise). Source: stable-audio-tools, the samplers of `training/arc.py` and
`training/diffusion.py`.
"""

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType

import torch
from torch import Tensor

from arc_eval.flow import time_of_log_snr

Quantile = Callable[[Tensor], Tensor]
"""float64[count] of probabilities to float64[count] of times, rising."""

CUT = 0.075  # where `trunc_logit_normal` cuts its logit-normal


def uniform(u: Tensor) -> Tensor:
    """Every time alike."""
    return u


def logit_normal(u: Tensor) -> Tensor:
    """sigmoid(z), z standard normal: the middle of the path."""
    return torch.sigmoid(torch.special.ndtri(u))


def logsnr_uniform(u: Tensor) -> Tensor:
    """Log-SNR uniform in -6..2, as the sampler's schedule spaces it: mostly noise."""
    return time_of_log_snr(2 - 8 * u)


def trunc_logit_normal(u: Tensor) -> Tensor:
    """1 minus a logit-normal cut below 0.075 and stretched back over (0, 1)."""
    low = torch.special.ndtr(torch.tensor(log(CUT / (1 - CUT)), dtype=u.dtype))
    y = torch.sigmoid(torch.special.ndtri(low + (1 - low) * (1 - u)))
    return 1 - (y - CUT) / (1 - CUT)


def log_snr(u: Tensor) -> Tensor:
    """Log-SNR normal with mean -1.2 and deviation 2; times kept in 1e-4..1 - 1e-4."""
    return time_of_log_snr(-2 * torch.special.ndtri(u) - 1.2).clamp(1e-4, 1 - 1e-4)


TIMES: Mapping[str, Quantile] = MappingProxyType(
    {
        function.__name__: function
        for function in (uniform, logit_normal, logsnr_uniform, trunc_logit_normal, log_snr)
    }
)
"""Every distribution by its name in a recipe."""


def draw_times(quantile: Quantile, count: int, generator: torch.Generator) -> Tensor:
    """float32[count] of times, one from each of `count` equally likely slices, in random order.

    Each time alone follows the distribution; together they cover it, which quiets the loss.
    """
    slices = torch.randperm(count, generator=generator)
    inside = torch.rand(count, generator=generator, dtype=torch.float64)
    return quantile((slices + inside) / count).float()
