"""Classifier-free guidance: away from the velocity without a prompt, towards the one with it."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from arc_eval.samplers.velocity import Velocity


class Guidable(Protocol):
    """What guidance asks of a conditioning."""

    def without_prompt(self) -> Self:
        """The same clips, unconditional."""
        ...

    def joined(self, other: Self) -> Self:
        """These clips, then the other's."""
        ...


C = TypeVar("C", bound=Guidable)


def guided(
    velocity_of: Callable[[Tensor, Tensor, C], Tensor],
    conditioning: C,
    scale: float,
    *,
    interval: tuple[float, float] = (0.0, 1.0),
    rescale: float = 0.0,
) -> Velocity:
    """The velocity for a sampler: v_without + scale (v_with - v_without), both in one batched call.

    scale 1 is the plain conditional velocity at half the cost. Guidance acts at times inside
    `interval`, read from the first clip; outside it the conditional velocity is returned. `rescale`
    (0..1) mixes in a copy whose spread over channels is the conditional velocity's.
    Source: stable-audio-tools, `DiffusionTransformer.forward`.
    """
    low, high = interval

    def plain(x: Tensor, t: Tensor) -> Tensor:
        return velocity_of(x, t, conditioning)

    if scale == 1:
        return plain
    both = conditioning.joined(conditioning.without_prompt())

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        if not low <= float(t[0]) <= high:
            return plain(x, t)
        with_prompt, without = velocity_of(torch.cat((x, x)), torch.cat((t, t)), both).chunk(2)
        out = without + scale * (with_prompt - without)
        if rescale == 0:
            return out
        matched = out * (with_prompt.std(dim=1, keepdim=True) / out.std(dim=1, keepdim=True))
        return rescale * matched + (1 - rescale) * out

    return velocity
