"""The Oobleck convolutional encoder and decoder of Stable Audio Open; names are the official keys.

Audio is float[clip, channel, time]; latents float[clip, channel, frame], one frame for the product of
the strides. Source: stable-audio-tools, `OobleckEncoder`, `OobleckDecoder`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arc_eval.models.autoencoder_config import OobleckDecoderConfig, OobleckEncoderConfig


class Snake(nn.Module):
    """x + sin^2(exp(alpha) x) / exp(beta), one alpha and beta per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        frequency = self.alpha.exp()[:, None]
        strength = 1 / (self.beta.exp()[:, None] + 1e-9)
        return x + strength * (frequency * x).sin().square()


class _Normed(nn.Module):
    """A weight kept as direction and length (weight norm over all dimensions but the first)."""

    def __init__(self, initial: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight_v = nn.Parameter(initial.detach().clone())
        self.weight_g = nn.Parameter(self._length(initial.detach()))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    @staticmethod
    def _length(weight: Tensor) -> Tensor:
        return weight.square().sum(dim=(1, 2), keepdim=True).sqrt()

    @property
    def weight(self) -> Tensor:
        return self.weight_v * (self.weight_g / self._length(self.weight_v))


class Convolution(_Normed):
    """Weight-normed convolution; `reach` is the padding on both sides."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        taps: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        reach: int,
        bias: bool = True,
    ) -> None:
        plain = nn.Conv1d(inputs, outputs, taps, bias=bias)
        super().__init__(plain.weight, plain.bias)
        self.stride, self.dilation, self.reach = stride, dilation, reach

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight, self.bias, self.stride, self.reach, self.dilation)


class TransposedConvolution(_Normed):
    """Weight-normed transposed convolution that lengthens time by `stride`; its weight is [in, out, tap]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        plain = nn.ConvTranspose1d(inputs, outputs, 2 * stride)
        super().__init__(plain.weight, plain.bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.weight, self.bias, self.stride, self.stride // 2)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution of 7 taps, Snake, convolution of 1 tap; added to its input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Snake(channels),
            Convolution(channels, channels, 7, dilation=dilation, reach=3 * dilation),
            Snake(channels),
            Convolution(channels, channels, 1, reach=0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


def _residual_units(channels: int) -> list[nn.Module]:
    return [ResidualUnit(channels, dilation) for dilation in (1, 3, 9)]


class Layers(nn.Module):
    """A numbered chain; the official keys say `layers.N`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def _shortening(inputs: int, outputs: int, stride: int) -> nn.Module:
    convolution = Convolution(inputs, outputs, 2 * stride, stride=stride, reach=stride // 2)
    return Layers(*_residual_units(inputs), Snake(inputs), convolution)


def _lengthening(inputs: int, outputs: int, stride: int) -> nn.Module:
    return Layers(Snake(inputs), TransposedConvolution(inputs, outputs, stride), *_residual_units(outputs))


class OobleckEncoder(Layers):
    """float[clip, channel, time] to float[clip, latent_dim, time / strides]."""

    def __init__(self, config: OobleckEncoderConfig) -> None:
        widths = [config.channels * multiple for multiple in (1, *config.c_mults)]
        super().__init__(
            Convolution(config.in_channels, widths[0], 7, reach=3),
            *map(_shortening, widths[:-1], widths[1:], config.strides),
            Snake(widths[-1]),
            Convolution(widths[-1], config.latent_dim, 3, reach=1),
        )


class OobleckDecoder(Layers):
    """float[clip, latent_dim, frame] to float[clip, channel, frame * strides]."""

    def __init__(self, config: OobleckDecoderConfig) -> None:
        widths = [config.channels * multiple for multiple in (1, *config.c_mults)][::-1]
        super().__init__(
            Convolution(config.latent_dim, widths[0], 7, reach=3),
            *map(_lengthening, widths[:-1], widths[1:], config.strides[::-1]),
            Snake(widths[-1]),
            Convolution(widths[-1], config.out_channels, 7, reach=3, bias=False),
            nn.Tanh() if config.final_tanh else nn.Identity(),
        )
