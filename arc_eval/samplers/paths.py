"""What a network's output means: the two paths from data (t = 0) to noise (t = 1) that models are trained on.

A path mixes data and noise by two weights that t decides; an output and x together point back to data.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from arc_eval import flow
from arc_eval.flow import expand


class Path(Protocol):
    """Tensors are float[clip, ...] and times float[clip]."""

    def noised(self, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The point of the path at time t."""
        ...

    def data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """The data that a network's output at (x, t) points back to."""
        ...

    def output(self, x: Tensor, data: Tensor, t: Tensor) -> Tensor:
        """The inverse of `data`: what a network at (x, t) gives that sees this data; t > 0."""
        ...

    def noise_level(self, t: Tensor) -> Tensor:
        """The weight of the noise in x, shaped like t; guidance intervals are stated in it."""
        ...


@dataclass(frozen=True)
class Straight:
    """Rectified flow: x = (1 - t) data + t noise, output = noise - data, as `arc_eval.flow` has it."""

    def noised(self, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The point of the path at time t, float[clip, ...]."""
        return flow.interpolate(data, noise, t)

    def data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """x - t output, float[clip, ...]."""
        return flow.denoised(x, output, t)

    def output(self, x: Tensor, data: Tensor, t: Tensor) -> Tensor:
        """(x - data) / t, float[clip, ...]."""
        return (x - data) / expand(t, x)

    def noise_level(self, t: Tensor) -> Tensor:
        """t itself."""
        return t


@dataclass(frozen=True)
class Cosine:
    """v-diffusion: x = cos(a) data + sin(a) noise, output = cos(a) noise - sin(a) data, where a = pi t / 2.

    Source: arXiv 2202.00512 appendix D, with the schedule of stable-audio-tools.
    """

    def noised(self, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The point of the path at time t, float[clip, ...]."""
        angle = _angle(t, data)
        return angle.cos() * data + angle.sin() * noise

    def data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """cos(a) x - sin(a) output, float[clip, ...]."""
        angle = _angle(t, x)
        return angle.cos() * x - angle.sin() * output

    def output(self, x: Tensor, data: Tensor, t: Tensor) -> Tensor:
        """(cos(a) x - data) / sin(a), float[clip, ...]."""
        angle = _angle(t, x)
        return (angle.cos() * x - data) / angle.sin()

    def noise_level(self, t: Tensor) -> Tensor:
        """sin(a), shaped like t."""
        return torch.sin(t * (math.pi / 2))


def _angle(t: Tensor, like: Tensor) -> Tensor:
    return expand(t, like) * (math.pi / 2)


STRAIGHT = Straight()
COSINE = Cosine()
