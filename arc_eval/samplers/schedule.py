"""When a sampler visits the path: times fall from noise (1, or sigma_max) to data (0)."""

import math

import torch
from torch import Tensor

from arc_eval.flow import time_of_log_snr


def log_snr_times(steps: int, sigma_max: float = 1.0) -> Tensor:
    """float32[steps + 1], evenly spaced in log-SNR from -6 to 2; the ends are exactly sigma_max and 0.

    Below 1, sigma_max is where a partly noised clip starts (style transfer), and spacing begins at
    its own log-SNR. Raises ValueError unless steps >= 1 and 0 < sigma_max <= 1.
    Source: stable-audio-tools, `sample_rf`.
    """
    if steps < 1:
        raise ValueError(f"a sampler needs at least 1 step, not {steps}")
    if not 0 < sigma_max <= 1:
        raise ValueError(f"sigma_max must lie in (0, 1], not {sigma_max}")
    # The 1e-6 is the official code's; it moves the start by less than float32 can show.
    start = -6.0 if sigma_max == 1 else math.log((1 - sigma_max) / sigma_max + 1e-6)
    times = time_of_log_snr(torch.linspace(start, 2.0, steps + 1, dtype=torch.float64))
    times[0], times[-1] = sigma_max, 0.0
    return times.float()
