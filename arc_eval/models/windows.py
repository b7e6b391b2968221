"""Convolutional chains evaluated one window of the output at a time, exactly.

An output depends on a few neighbouring inputs only. Walking a chain backwards tells which inputs a
window of its output needs; walking it forwards on those alone gives the window as the whole would, in
memory that does not grow with the length. Time is the last axis of every tensor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import singledispatch
from math import ceil, floor

from torch import Tensor, nn


@dataclass(frozen=True)
class Window:
    """Places start .. stop - 1 on a time axis."""

    start: int
    stop: int

    def of(self, x: Tensor, first: int = 0) -> Tensor:
        """The window of a tensor whose own time axis begins at place `first`."""
        return x[..., self.start - first : self.stop - first]


@singledispatch
def rate(layer: nn.Module) -> Fraction:
    """Outputs of a layer for each of its inputs; 1 unless it says otherwise."""
    return Fraction(1)


@singledispatch
def needed(layer: nn.Module, window: Window) -> Window:
    """The inputs that decide a window of a layer's outputs; may lie beyond the ends of the axis.

    A layer that says nothing works on each place by itself.
    """
    return window


@needed.register
def _(layer: nn.Sequential, window: Window) -> Window:
    for part in reversed(layer):
        window = needed(part, window)
    return window


def windows(
    layers: Sequence[nn.Module],
    x: Tensor,  # float[..., time]
    size: int,
) -> Iterator[Tensor]:
    """The output of a chain, `size` places at a time."""
    lengths = [x.shape[-1]]
    for layer in layers:
        lengths.append(int(lengths[-1] * rate(layer)))
    for start in range(0, lengths[-1], size):
        yield _window(layers, x, lengths, Window(start, min(start + size, lengths[-1])))


def _window(layers: Sequence[nn.Module], x: Tensor, lengths: Sequence[int], wanted: Window) -> Tensor:
    plan = [wanted]
    for layer, length in zip(reversed(layers), reversed(lengths[:-1]), strict=True):
        reach, grain = needed(layer, plan[-1]), rate(layer).denominator
        # A strided layer must begin where it would begin an output if it saw the whole.
        start, stop = floor(Fraction(reach.start, grain)) * grain, ceil(Fraction(reach.stop, grain)) * grain
        plan.append(Window(max(start, 0), min(stop, length)))
    plan.reverse()
    x = plan[0].of(x)
    for layer, before, after in zip(layers, plan, plan[1:], strict=False):
        # What the layer's own padding spoiled at the cut edges lies outside the next window.
        x = after.of(layer(x), int(before.start * rate(layer)))
    return x
