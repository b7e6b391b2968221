"""The Oobleck networks made ready for inference: weight norm folded, evaluated window by window.

Between the layers, audio lies as float[clip, channel, 1, time] with the channels innermost in memory,
the layout that the CPU's kernels for convolutions want. Small windows stay in its cache, too.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arc_eval.models.oobleck import (
    Convolution,
    Layers,
    OobleckDecoder,
    OobleckEncoder,
    ResidualUnit,
    Snake,
    TransposedConvolution,
)
from arc_eval.models.windows import Window, needed, rate, windows


class FoldedSnake(nn.Module):
    """`Snake` with its exponentials taken once."""

    def __init__(self, snake: Snake) -> None:
        super().__init__()
        self.frequency = nn.Parameter(snake.alpha.detach().exp()[:, None, None])
        self.strength = nn.Parameter(1 / (snake.beta.detach().exp()[:, None, None] + 1e-9))

    def forward(self, x: Tensor) -> Tensor:
        wave = (self.frequency * x).sin_()
        return torch.addcmul(x, wave * self.strength, wave)


class FoldedConvolution(nn.Module):
    """`Convolution` with one weight in place of direction and length."""

    def __init__(self, source: Convolution) -> None:
        super().__init__()
        weight = source.weight.detach()[:, :, None]
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = source.bias
        self.stride, self.dilation, self.reach = source.stride, source.dilation, source.reach

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, (1, self.stride), (0, self.reach), (1, self.dilation))


def _bias(source: Convolution) -> dict[str, Tensor]:
    return {} if source.bias is None else {"bias": source.bias.detach()}


class FoldedPointwise(nn.Module):
    """A `Convolution` of one tap: a matrix product on the channels, which lie together."""

    def __init__(self, source: Convolution) -> None:
        super().__init__()
        weight = source.weight.detach()[:, :, 0]
        self.mix = nn.Linear(weight.shape[1], weight.shape[0], bias=source.bias is not None)
        self.mix.load_state_dict({"weight": weight, **_bias(source)}, assign=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.movedim(1, -1)).movedim(-1, 1)  # type: ignore[no-any-return]


class FoldedTransposedConvolution(nn.Module):
    """`TransposedConvolution` as one matrix product and two shifted sums.

    A frame becomes 2 * stride samples, of which the second half overlaps the next frame's first half.
    """

    def __init__(self, source: TransposedConvolution) -> None:
        super().__init__()
        weight = source.weight.detach().permute(2, 1, 0)
        self.to_samples = nn.Linear(weight.shape[2], weight.shape[0] * weight.shape[1], bias=False)
        flat = weight.reshape(self.to_samples.weight.shape).contiguous()
        self.to_samples.load_state_dict({"weight": flat}, assign=True)
        self.bias = source.bias
        self.stride = source.stride

    def forward(self, x: Tensor) -> Tensor:
        frames = x[:, :, 0].transpose(1, 2)
        early, late = self.to_samples(frames).chunk(2, dim=-1)
        samples = F.pad(early, (0, 0, 0, 1))
        samples[:, 1:] += late
        samples = samples.reshape(len(samples), -1, samples.shape[2] // self.stride)
        edge = self.stride // 2
        samples = samples[:, edge:-edge] if self.bias is None else samples[:, edge:-edge] + self.bias
        return samples.transpose(1, 2)[:, :, None]


def _folded_convolution(source: Convolution) -> nn.Module:
    pointwise = source.weight_v.shape[-1] == 1 and source.stride == 1
    return FoldedPointwise(source) if pointwise else FoldedConvolution(source)


FOLDED: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = {
    Snake: FoldedSnake,
    Convolution: _folded_convolution,
    TransposedConvolution: FoldedTransposedConvolution,
}


def fold(module: nn.Module) -> None:
    """Replaces every layer inside by its folded form, for inference alone: nothing is kept twice."""
    for name, child in module.named_children():
        if type(child) in FOLDED:
            setattr(module, name, FOLDED[type(child)](child))
        else:
            fold(child)


@rate.register
def _(layer: FoldedConvolution) -> Fraction:
    return Fraction(1, layer.stride)


@needed.register
def _(layer: FoldedConvolution, window: Window) -> Window:
    first = window.start * layer.stride - layer.reach
    last = (window.stop - 1) * layer.stride - layer.reach + (layer.weight.shape[-1] - 1) * layer.dilation
    return Window(first, last + 1)


@rate.register
def _(layer: FoldedTransposedConvolution) -> Fraction:
    return Fraction(layer.stride)


@needed.register
def _(layer: FoldedTransposedConvolution, window: Window) -> Window:
    edge = layer.stride // 2
    return Window((window.start + edge) // layer.stride - 1, (window.stop - 1 + edge) // layer.stride + 1)


@needed.register
def _(layer: ResidualUnit, window: Window) -> Window:
    return needed(layer.layers, window)


def _chain(network: nn.Module) -> Iterator[nn.Module]:
    """The layers in order, blocks opened; a residual unit is one layer."""
    if isinstance(network, Layers):
        for layer in network.layers:
            yield from _chain(layer)
    else:
        yield network


class Windowed(nn.Module):
    """An Oobleck network for inference, equal to the one it was made of."""

    def __init__(self, network: OobleckEncoder | OobleckDecoder, frames: int) -> None:
        """Takes the network over, its weights folded in place; `frames` latent frames make a window."""
        super().__init__()
        fold(network)
        self.chain = nn.ModuleList(_chain(network))
        self.size = frames * max(1, int(prod(map(rate, self.chain))))

    def forward(self, x: Tensor) -> Tensor:
        """float[clip, channel, time] to what the network gives."""
        x = x[:, :, None].contiguous(memory_format=torch.channels_last)
        return torch.cat([part[:, :, 0] for part in windows(list(self.chain), x, self.size)], dim=-1)
