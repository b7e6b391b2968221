"""VGGish as frechet-audio-distance listens with it: what the classic FAD is measured on.

A file is averaged to mono at its own rate and brought to 16 kHz, as loud as it is. Examples of 0.96 s follow
each other; a rest is dropped, and a clip shorter than one is filled up with silence, where the original
has no row for it.
Source: frechet-audio-distance 0.3.5 (no principal components, no last rectifier), torchvggish.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import resample, to_channels
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.vggish import SAMPLE_RATE, SHORTEST, FrontEnd, Vggish, load_vggish, random_vggish
from arc_eval.records.audio import AudioBatch
from arc_eval.store import file_digest

TOGETHER = 64
"""Examples at a time."""


class Settings(contracts.Settings):
    """`{kind: vggish, weights: vggish-10086976.pth}`; the defaults are frechet-audio-distance's."""

    weights: str
    """The file of torchvggish's release; or `random`, to time the network and to see a suite run."""
    activation: bool = False
    """Whether the last layer is rectified, as in the network itself."""
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int = Field(TOGETHER, ge=1)
    """Examples at a time; changes nothing but memory and speed."""
    device: str = "cpu"

    def build(self) -> "VggishExtractor":
        """Loads the weights. Raises CheckpointError if they are not VGGish's."""
        if self.weights == "random":
            return VggishExtractor(self, random_vggish(self.activation), "random")
        path = Path(self.weights)
        network = load_vggish(path, self.activation)
        return VggishExtractor(self, network, file_digest(path))


class VggishExtractor:
    """One row for each 0.96 s of a clip of any rate, length and number of channels."""

    sample_rate = None

    def __init__(self, settings: Settings, network: Vggish, digest: str) -> None:
        self._settings, self._digest = settings, digest
        self._front_end = FrontEnd()
        self._network = network.to(settings.device, getattr(torch, settings.precision))
        through_onednn(self._network)

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[example, 128]."""
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    @torch.inference_mode()
    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """float32[example, 96, 64], logarithms of mel magnitudes."""
        (mono,) = resample(to_channels(samples, 1), sample_rate, SAMPLE_RATE)
        spectrograms: Tensor = self._front_end(
            torch.nn.functional.pad(mono, (0, max(0, SHORTEST - len(mono))))
        )
        return spectrograms

    @torch.inference_mode()
    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """Per clip, float32[example, 128]."""
        device, dtype = self._settings.device, getattr(torch, self._settings.precision)
        parts = torch.split(torch.cat(list(heard)), self._settings.batch)
        rows = torch.cat([self._network(part.to(device, dtype)).float().cpu() for part in parts])
        return list(torch.split(rows, [len(clip) for clip in heard]))

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides a row."""
        s = self._settings
        return {
            "checkpoint": self._digest,
            "model": f"vggish, {'rectified' if s.activation else 'linear'}, no principal components",
            "loudness": "as it is",
            "resampler": f"soxr-hq to {SAMPLE_RATE} Hz",
            "channels": "averaged at the file's rate",
            "windows": "0.96 s each, a rest dropped, a shorter clip filled with silence",
            "precision": s.precision,
        }
