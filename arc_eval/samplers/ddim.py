"""DDIM along the cosine path: turn to the next noise level through the data and the noise that are seen."""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from arc_eval.samplers.velocity import Velocity, at


def ddim(
    velocity: Velocity,
    x: Tensor,  # float[clip, channel, frame]
    times: Tensor,  # float[step + 1], falling
    renoise: Callable[[], Tensor],
    *,
    eta: float = 0.0,
) -> Tensor:
    """The point of the path at the last time, the data itself where that is 0; float[clip, channel, frame].

    `velocity` is that of a v-diffusion network. eta is the share of noise that is fresh at each step, from
    0 (deterministic) to 1 (ancestral sampling); where it acts `renoise` gives standard noise shaped like x.
    Sources: arXiv 2010.02502 eq. 16; stable-audio-tools, `sample`.
    """
    for now, later in pairwise(times):
        v = velocity(x, at(now, x))
        signal, noise = _weights(now)
        data, seen = signal * x - noise * v, noise * x + signal * v
        signal_later, noise_later = _weights(later)
        fresh = eta * (noise_later / noise) * math.sqrt(max(0.0, 1 - (signal / signal_later) ** 2))
        x = signal_later * data + math.sqrt(max(0.0, noise_later**2 - fresh**2)) * seen
        if fresh > 0:
            x = x + fresh * renoise()
    return x


def _weights(
    t: Tensor,  # float[]
) -> tuple[float, float]:
    """Those of data and noise at a time of the cosine path, in float64."""
    angle = float(t) * math.pi / 2
    return math.cos(angle), math.sin(angle)
