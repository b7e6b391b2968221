"""A v-diffusion network in the variance-exploding form that k-diffusion's solvers are written in.

There x = data + sigma noise, sigma from 0 (data) upwards without bound, where the network's own path
has x = cos(a) data + sin(a) noise with a = pi t / 2. The two differ by a scale, and sigma = tan(a).
"""

import math
from collections.abc import Callable

from torch import Tensor

from arc_eval.samplers.velocity import Velocity

Denoiser = Callable[[Tensor, float], Tensor]
"""(x float[clip, channel, frame] = data + sigma noise, sigma) to the data, shaped like x."""


def sigma_of_time(t: float) -> float:
    """tan(pi t / 2): the ratio of noise to data at time t of the cosine path; beyond 1e16 at t = 1."""
    return math.tan(t * math.pi / 2)


def time_of_sigma(sigma: float) -> float:
    """The inverse of `sigma_of_time`: the time in [0, 1) at which noise is sigma times the data."""
    return math.atan(sigma) * 2 / math.pi


def denoiser(velocity: Velocity) -> Denoiser:
    """The data that a v-diffusion network sees: c_skip x + c_out velocity(c_in x, t), float[clip, ...].

    `velocity` belongs to the cosine path. Source: k-diffusion, `VDenoiser` with sigma_data 1.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        length = math.hypot(sigma, 1.0)
        t = x.new_full((len(x),), time_of_sigma(sigma))
        return x / length**2 - (sigma / length) * velocity(x / length, t)

    return denoise
