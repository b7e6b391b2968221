"""Recordings of any length as clips of one: short ones end in silence, of long ones a part is taken."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from arc_eval.errors import TrainingError


class Clip(NamedTuple):
    """audio: float32[channel, time]; samples: how many of them, from the first, are the recording's."""

    audio: Tensor
    samples: int


@dataclass(frozen=True)
class Window:
    """The audio that a network reads: so many samples, at this rate, in so many channels."""

    samples: int
    sample_rate: int
    channels: int

    def clip(
        self,
        audio: Tensor,  # float32[channel, time]
        seed: int,
    ) -> Clip:
        """The recording, with silence after it; if it is too long, a part of it that `seed` decides.

        Every part is as likely as any other, as where training code draws one each time that it reads
        the file. Raises TrainingError for another number of channels.
        """
        if len(audio) != self.channels:
            raise TrainingError(
                f"recipe: data: its recordings have {len(audio)} channels, the autoencoder reads "
                f"{self.channels}; set data.channels, or take another autoencoder"
            )
        excess = max(0, audio.shape[-1] - self.samples)
        start = int(torch.randint(excess + 1, (), generator=torch.Generator().manual_seed(seed)))
        part = audio[:, start : start + self.samples]
        return Clip(F.pad(part, (0, self.samples - part.shape[-1])), part.shape[-1])

    def frames(self, samples: int, of: int) -> int:
        """How many of the window's `of` frames hold some of its first `samples` samples."""
        return -(-samples * of // self.samples)
