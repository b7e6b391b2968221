"""Ping-pong sampling: jump to the data that the network sees, then back to a lower noise level."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from arc_eval.flow import denoised, interpolate
from arc_eval.samplers.velocity import Velocity, at


def pingpong(
    velocity: Velocity,
    x: Tensor,  # float[clip, channel, frame]
    times: Tensor,  # float[step + 1], falling
    renoise: Callable[[], Tensor],
) -> Tensor:
    """The data after one network call for each step, float[clip, channel, frame].

    `renoise` draws fresh standard noise shaped like x; it is called between steps only, so once less
    than the network when the last time is 0. Source: arXiv 2505.08175 section 2.5.
    """
    for now, later in pairwise(times):
        t = at(now, x)
        x = denoised(x, velocity(x, t), t)
        if later > 0:
            x = interpolate(x, renoise(), at(later, x))
    return x
