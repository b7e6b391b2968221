"""Classifier-free guidance: away from the velocity without a prompt, towards the one with it."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from arc_eval.samplers.paths import STRAIGHT, Path
from arc_eval.samplers.velocity import Velocity


class Guidable(Protocol):
    """What guidance asks of a conditioning."""

    def without_prompt(self) -> Self:
        """The same clips, unconditional."""
        ...

    def with_cross_of(self, other: Self) -> Self:
        """The same clips, reading the other's cross tokens; global vectors are kept."""
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
    negative: C | None = None,
    path: Path = STRAIGHT,
    interval: tuple[float, float] = (0.0, 1.0),
    rescale: float = 0.0,
    apg: float = 0.0,
    apg_norm: float | None = None,
) -> Velocity:
    """The velocity for a sampler: v_without + scale (v_with - v_without), both in one batched call.

    scale 1 is the plain conditional velocity at half the cost.
    negative: what to move away from, clip by clip, in place of no prompt at all.
    path: what the network's output means; only `interval` and `apg` depend on it.
    interval: guidance acts at noise levels inside it, read from the first clip; outside it the
    conditional velocity is returned.
    rescale (0..1) mixes in a copy whose spread over channels is the conditional velocity's.
    apg (0..1): how much of the difference's part along the conditional data is left out (adaptive
    projected guidance); 1 keeps the orthogonal part alone. apg_norm: the largest norm that a clip's
    difference may have in data, applied before. `rescale` acts after both.
    Source: stable-audio-tools, `DiffusionTransformer.forward`; APG: arXiv 2410.02416 without its momentum.
    """
    low, high = interval

    def plain(x: Tensor, t: Tensor) -> Tensor:
        return velocity_of(x, t, conditioning)

    if scale == 1:
        return plain
    other = conditioning.without_prompt() if negative is None else conditioning.with_cross_of(negative)
    both = conditioning.joined(other)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        # Only a real interval is worth waiting for the device to say where on the path it is.
        if (low > 0 or high < 1) and not low <= float(path.noise_level(t[:1])) <= high:
            return plain(x, t)
        with_prompt, without = velocity_of(torch.cat((x, x)), torch.cat((t, t)), both).chunk(2)
        step = with_prompt - without
        # Along both paths the data moves by -noise_level times what the output moves by, so lengths
        # differ by that factor, directions not at all, and nothing need be converted there and back.
        if apg_norm is not None:
            step = _shortened(step, apg_norm / path.noise_level(t))
        if apg != 0:
            step = step - apg * _along(step, path.data(x, with_prompt, t))
        out = with_prompt + (scale - 1) * step
        return _rescaled(out, with_prompt, rescale) if rescale != 0 else out

    return velocity


def _shortened(
    step: Tensor,  # float[clip, ...]
    longest: Tensor,  # float[clip]
) -> Tensor:
    """Each clip's step, its direction kept, with a norm of at most `longest`."""
    norm = torch.linalg.vector_norm(_rows(step), dim=1)
    return _times((longest.to(norm) / norm).clamp(max=1), step)


def _along(
    step: Tensor,  # float[clip, ...]
    direction: Tensor,  # float[clip, ...]
) -> Tensor:
    """The part of each clip's step that is parallel to its direction."""
    ours, theirs = _rows(step), _rows(direction)
    tiny = torch.finfo(theirs.dtype).tiny
    return _times((ours * theirs).sum(1) / theirs.square().sum(1).clamp(min=tiny), direction)


def _rescaled(out: Tensor, like: Tensor, share: float) -> Tensor:
    matched = out * (like.std(dim=1, keepdim=True) / out.std(dim=1, keepdim=True))
    return share * matched + (1 - share) * out


def _rows(x: Tensor) -> Tensor:
    # Half precision cannot hold a sum of squares over a whole latent.
    return x.flatten(1).to(torch.promote_types(x.dtype, torch.float32))


def _times(factor: Tensor, x: Tensor) -> Tensor:
    return (factor.reshape(-1, *[1] * (x.ndim - 1)) * x).to(x.dtype)
