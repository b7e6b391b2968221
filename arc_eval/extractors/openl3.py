"""OpenL3 as stable-audio-metrics listens with it: what FD-openl3 is measured on.

A file at its own rate is brought to a peak of -1 dBFS and to 44.1 kHz, then each channel by resampy to
48 kHz, and cut into windows of one second. A window's row is the left channel's embedding, then the
right's.
Source: stable-audio-metrics (openl3 0.4.2, kapre front end, resampy 0.2.2).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import resample, to_channels
from arc_eval.errors import CheckpointError
from arc_eval.extractors.loudness import peak_normalised
from arc_eval.models import resampy
from arc_eval.models.openl3 import REPRESENTATIONS, SAMPLE_RATE, WINDOW, FoldedOpenL3, FrontEnd, OpenL3
from arc_eval.models.openl3_weights import load_openl3, random_openl3
from arc_eval.records.audio import AudioBatch
from arc_eval.store import file_digest

ON_CPU, TOGETHER = 1, 64
"""Windows at a time: on a CPU the maps of more than one leave its cache."""


class Settings(contracts.Settings):
    """`{kind: openl3, weights: openl3_audio_mel256_music.h5}`; the defaults are stable-audio-metrics'."""

    weights: str
    """The official `.h5`, unpacked; or `random`, to time the network and to see a suite run."""
    representation: Literal["mel256", "mel128", "linear"] = "mel256"
    size: Literal[512, 6144] = 512
    hop: float = Field(0.5, gt=0)
    """Seconds between windows."""
    centred: bool = True
    """Whether the first window is centred on the first sample: half of it is silence."""
    channels: Literal[1, 2] = 2
    peak: float | None = Field(-1.0, le=0)
    """dBFS; None: as loud as it is."""
    rate: int | None = Field(44100, gt=0)
    """Hz to which files are brought first, as the reference statistics were; None: their own."""
    resampler: Literal["resampy", "soxr"] = "resampy"
    """To 48 kHz: `resampy` for published numbers, `soxr` for speed."""
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int | None = Field(None, ge=1)
    """Windows at a time; changes nothing but memory and speed. By default what suits the device."""
    device: str = "cpu"

    def build(self) -> "OpenL3Extractor":
        """Loads the weights. Raises CheckpointError if they are not those of this representation."""
        if self.weights == "random":
            return OpenL3Extractor(self, random_openl3(self.representation, self.size), "random")
        path = Path(self.weights)
        try:
            digest = file_digest(path)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror}); give the unpacked .h5 of openl3 0.4"
            ) from error
        return OpenL3Extractor(self, load_openl3(path, self.representation, self.size), digest)


class OpenL3Extractor:
    """One row for each window of a clip of any rate, length and one or two channels."""

    sample_rate = None

    def __init__(self, settings: Settings, network: OpenL3, digest: str) -> None:
        self._settings, self._digest = settings, digest
        self._batch = settings.batch or (ON_CPU if settings.device == "cpu" else TOGETHER)
        self._front_end = FrontEnd(settings.representation)
        self._network = FoldedOpenL3(network).to(settings.device, getattr(torch, settings.precision))

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[window, channels * size]."""
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    @torch.inference_mode()
    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """float32[channel, window, band, frame] of the channels that differ: spectrograms in decibels."""
        s = self._settings
        channels = self._channels(samples, sample_rate)
        windows = torch.stack([framed(channel, s.hop, s.centred) for channel in channels])
        return self._front_end(windows.flatten(0, 1)).view(*windows.shape[:2], *self._front_end.shape)

    @torch.inference_mode()
    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """Per clip, float32[window, channels * size]."""
        both = self._settings.channels == 2
        windows = torch.cat([clip.flatten(0, 1) for clip in heard])[:, None]
        rows = torch.split(self._through(windows), [clip.shape[0] * clip.shape[1] for clip in heard])
        channels = [own.view(*clip.shape[:2], -1) for own, clip in zip(rows, heard, strict=True)]
        # One channel heard once stands for two equal ones.
        return [torch.cat([own[0], own[-1]], 1) if both else own[0] for own in channels]

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides a row."""
        s = self._settings
        kind = REPRESENTATIONS[s.representation]
        first = f"soxr-hq to {s.rate} Hz, " if s.rate else ""
        second = resampy.NAME if s.resampler == "resampy" else "soxr-hq"
        return {
            "checkpoint": self._digest,
            "model": f"openl3 {s.representation} {s.size}, kapre 0.3 front end, {kind.n_fft} points",
            "loudness": "as it is" if s.peak is None else f"peak {s.peak:g} dBFS, silence left",
            "resampler": f"{first}{second} to {SAMPLE_RATE} Hz",
            "channels": "left and right side by side, mono copied" if s.channels == 2 else "averaged",
            "windows": f"1 s every {s.hop:g} s, {'centred' if s.centred else 'from the start'}",
            "precision": s.precision,
        }

    def _channels(self, clip: Tensor, rate: int) -> list[Tensor]:
        """The channels that differ, float32[time] at 48 kHz each."""
        s = self._settings
        samples = clip if s.peak is None else peak_normalised(clip, s.peak)
        samples = resample(samples, rate, s.rate or rate)
        samples = to_channels(samples, 1 if s.channels == 1 or _alike(samples) else 2)
        if s.resampler == "soxr":
            return list(resample(samples, s.rate or rate, SAMPLE_RATE))
        return [resampy.kaiser_best(channel, s.rate or rate, SAMPLE_RATE) for channel in samples]

    def _through(self, windows: Tensor) -> Tensor:
        """float32[window, size]."""
        device, dtype = self._settings.device, getattr(torch, self._settings.precision)
        parts = torch.split(windows, self._batch)
        return torch.cat([self._network(part.to(device, dtype)).float().cpu() for part in parts])


def framed(samples: Tensor, hop: float, centred: bool) -> Tensor:
    """float32[window, 48000] of float32[time] at 48 kHz, with silence after the end where it is needed."""
    step = int(hop * SAMPLE_RATE)
    before = WINDOW // 2 if centred else 0
    length = before + len(samples)
    after = WINDOW - length if length < WINDOW else -(length - WINDOW) % step
    return torch.nn.functional.pad(samples, (before, after)).unfold(0, WINDOW, step)


def _alike(samples: Tensor) -> bool:
    """Whether all channels are the same, so that one of them says everything."""
    return bool((samples[1:] == samples[:1]).all())
