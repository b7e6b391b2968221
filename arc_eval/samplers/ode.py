"""Solvers of the straight path's differential equation dx/dt = velocity(x, t), from noise to data."""

from itertools import pairwise

import torch
from torch import Tensor

from arc_eval.flow import denoised, log_snr
from arc_eval.samplers.velocity import Velocity, at


def euler(
    velocity: Velocity,
    x: Tensor,  # float[clip, channel, frame]
    times: Tensor,  # float[step + 1], falling
) -> Tensor:
    """First order: follows the velocity straight to the next time."""
    for now, later in pairwise(times):
        x = x + (later - now).to(x) * velocity(x, at(now, x))
    return x


def dpmpp_2m(
    velocity: Velocity,
    x: Tensor,  # float[clip, channel, frame]
    times: Tensor,  # float[step + 1], falling
) -> Tensor:
    """DPM-Solver++ (2M): extrapolates the denoised data in log-SNR from the last two steps.

    A path that starts at t = 1 has an infinite first step in log-SNR, so its second step is of first
    order too, as in the official code. Source: arXiv 2211.01095, algorithm 2.
    """
    # In float64: the last step's exponentials cancel.
    clock = times.double().cpu()
    widths = log_snr(clock).diff()
    previous: Tensor | None = None
    for step, (now, later) in enumerate(pairwise(clock)):
        t = at(now, x)
        data = denoised(x, velocity(x, t), t)
        ahead = data
        if previous is not None and later > 0:
            weight = float(widths[step] / (2 * widths[step - 1]))
            ahead = (1 + weight) * data - weight * previous
        decay = float(-(1 - later) * torch.expm1(-widths[step]))
        x = float(later / now) * x + decay * ahead
        previous = data
    return x
