"""DPM-Solver++ for the reverse diffusion, ordinary (eta 0) or stochastic (eta 1), in k-diffusion's form.

x = data + sigma noise, and the solvers' clock is -ln sigma. They hold the linear part of the equation
exactly, so the data is all that they extrapolate: from the last two steps (2M) or three (3M). `eta`
scales how much noise a step takes out beyond its share and puts back fresh, `s_noise` the fresh noise.
Coefficients are float64 numbers, because they cancel; tensors keep x's dtype.
Sources: arXiv 2211.01095; k-diffusion, `sample_dpmpp_2m_sde` (midpoint) and `sample_dpmpp_3m_sde`.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from arc_eval.samplers.vdiffusion import Denoiser

StepNoise = Callable[[float, float], Tensor]
"""(sigma, next sigma) to standard noise shaped like x, independent over steps."""


def dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,  # float[clip, channel, frame]
    sigmas: Tensor,  # float[step + 1], falling
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """The data, float[clip, channel, frame]; where the last sigma is not 0, x there.

    Calls `denoise` once a step; `noise` not at all where eta or the next sigma is 0.
    """
    past: tuple[Tensor, float] | None = None
    for now, later in pairwise(sigmas.tolist()):
        data = denoise(x, now)
        if later == 0:
            return data
        width = math.log(now / later)
        decay = width * (1 + eta)
        x = math.exp(-decay) * x - math.expm1(-decay) * data
        if past is not None:
            data_1, width_1 = past
            x = x - 0.5 * math.expm1(-decay) * (width / width_1) * (data - data_1)
        x = _stirred(x, now, later, noise, eta, s_noise)
        past = data, width
    return x


def dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,  # float[clip, channel, frame]
    sigmas: Tensor,  # float[step + 1], falling
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """The data, float[clip, channel, frame]; where the last sigma is not 0, x there.

    Calls `denoise` once a step; `noise` not at all where eta or the next sigma is 0. The curvature has
    half the weight that third order asks for, as in the official code, whose sound is wanted here;
    the order is two.
    """
    past: list[tuple[Tensor, float]] = []
    for now, later in pairwise(sigmas.tolist()):
        data = denoise(x, now)
        if later == 0:
            return data
        width = math.log(now / later)
        decay = width * (1 + eta)
        x = math.exp(-decay) * x - math.expm1(-decay) * data + _bend(data, width, decay, past)
        x = _stirred(x, now, later, noise, eta, s_noise)
        past = [(data, width), *past[:1]]
    return x


def _bend(
    data: Tensor,  # float[clip, channel, frame]
    width: float,
    decay: float,
    past: list[tuple[Tensor, float]],  # data and width of the last steps, latest first
) -> Tensor | float:
    """What the data's slope, and with two past steps its curvature, add to a step that held it constant."""
    if not past:
        return 0.0
    phi_2 = math.expm1(-decay) / decay + 1
    data_1, width_1 = past[0]
    r0 = width_1 / width
    slope = (data - data_1) / r0
    if len(past) == 1:
        return phi_2 * slope
    phi_3 = phi_2 / decay - 0.5
    data_2, width_2 = past[1]
    r1 = width_2 / width
    change = (slope - (data_1 - data_2) / r1) / (r0 + r1)
    return phi_2 * (slope + r0 * change) - phi_3 * change


def _stirred(x: Tensor, now: float, later: float, noise: StepNoise, eta: float, s_noise: float) -> Tensor:
    if eta == 0:
        return x
    share = -math.expm1(-2 * eta * math.log(now / later))
    return x + s_noise * later * math.sqrt(share) * noise(now, later)
