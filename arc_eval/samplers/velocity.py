"""What every sampler is handed: a network's velocity with its conditioning already bound."""

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x float[clip, channel, frame], t float[clip]) to the velocity, shaped like x."""


def at(
    time: Tensor,  # float[]
    x: Tensor,  # float[clip, ...]
) -> Tensor:
    """One time for every clip of x: float[clip] on x's device."""
    return time.to(x).expand(len(x))
