"""Clips of noise and an extractor that costs next to nothing, to see what everything else costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval import contracts
from arc_eval.records.audio import AudioBatch

RATE, SAMPLES, ROWS, FEATURES = 22050, 10240, 20, 256


@dataclass(frozen=True)
class Noise:
    """A clip that is drawn when it is read."""

    seed: int

    def read(self) -> tuple[Tensor, int]:
        """float32[1, time] and its sample rate."""
        stream = torch.Generator().manual_seed(self.seed)
        return 0.1 * torch.randn(1, SAMPLES, generator=stream), RATE


class Spectra:
    """As many rows as OpenL3 gives of ten seconds, at next to no cost."""

    sample_rate = RATE

    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """float32[20, 512]"""
        return samples[0].view(ROWS, 2 * FEATURES)

    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """float32[20, 256] of each."""
        spectra = torch.fft.rfft(torch.stack(list(heard))).abs()[..., 1:]
        return list(spectra.log1p())

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Both steps."""
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    def fingerprint(self) -> Mapping[str, str]:
        """Nothing but a name."""
        return {"extractor": "spectra"}


class Settings(contracts.Settings):
    """An extractor for this benchmark alone."""

    def build(self) -> Spectra:
        """The extractor."""
        return Spectra()
