"""What canaries do to a recording: every alteration keeps its length and channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from arc_eval.dsp import resample
from arc_eval.seeding import hashed_seed

HALF_RATE, OTHER_RATE = "half the rate", "twice the rate"
"""The latter is the former in twice as many samples, which no extractor may hear.

Half the band, because a resampler takes away what lies just below half of the rate: an extractor that
listens to decibels may well hear that.
"""


class Readable(Protocol):
    """Audio that lies somewhere."""

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate."""
        ...


@dataclass(frozen=True)
class Altered:
    """A recording that is altered while it is read."""

    audio: Readable
    canary: str
    name: str
    """Of the recording: it decides the noise that stands for it."""

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate. Raises AudioError as the recording does."""
        samples, rate = self.audio.read()
        if self.canary == OTHER_RATE:
            return resample(half_rate(samples, rate, self.name), rate, 2 * rate), 2 * rate
        return ALTERED[self.canary](samples, rate, self.name), rate


def silence(samples: Tensor, rate: int, name: str) -> Tensor:
    """Nothing, as long."""
    return torch.zeros_like(samples)


def noise(samples: Tensor, rate: int, name: str) -> Tensor:
    """White noise, as loud."""
    stream = torch.Generator().manual_seed(hashed_seed("canary", name))
    loudness = samples.square().mean().sqrt()
    return loudness * torch.randn(samples.shape, generator=stream)


def half_rate(samples: Tensor, rate: int, name: str) -> Tensor:
    """Without the upper half of its spectrum."""
    low = resample(samples, rate, rate // 2)
    return torch.nn.functional.pad(resample(low, rate // 2, rate), (0, samples.shape[-1]))[
        :, : samples.shape[-1]
    ]


def mono(samples: Tensor, rate: int, name: str) -> Tensor:
    """The same on all channels."""
    return samples.mean(0, keepdim=True).expand_as(samples).contiguous()


def backwards(samples: Tensor, rate: int, name: str) -> Tensor:
    """From its end to its beginning."""
    return samples.flip(-1)


ALTERED: Mapping[str, Callable[[Tensor, int, str], Tensor]] = {
    "silence": silence,
    "noise": noise,
    HALF_RATE: half_rate,
    "mono": mono,
    "backwards": backwards,
}
