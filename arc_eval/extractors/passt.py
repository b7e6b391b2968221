"""PaSST as stable-audio-metrics listens with it: what KL-passt is measured on.

A file is averaged to mono, brought to 32 kHz and to a peak of -1 dBFS, and heard in windows of 10 s
every 5 s. A window's row is its 527 logits; `label_kl` averages the windows' logits and takes the softmax.
Source: stable-audio-metrics (hear21passt, passt_s_swa_p16_128_ap476).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import resample, to_channels
from arc_eval.errors import AudioError, CheckpointError
from arc_eval.extractors.loudness import to_peak
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.passt import CLASSES, HOP, SAMPLE_RATE, WINDOW, MelFrontEnd, Passt
from arc_eval.models.passt_weights import load_passt, random_passt
from arc_eval.records.audio import AudioBatch
from arc_eval.store import file_digest

STEP = WINDOW // 2
FEWEST = 15 * HOP + 2
"""Samples that give the 16 frames of one patch."""
SHORTEST = 48000
"""Samples up to which a clip is heard as short as it is; a longer one is filled up to 10 s."""


class Settings(contracts.Settings):
    """`{kind: passt, weights: passt-s-f128-p16-s10-ap.476-swa.pt}`; by default as stable-audio-metrics."""

    weights: str
    """The released file; or `random`, to time the network and to see a suite run."""
    output: Literal["logits", "features"] = "logits"
    """`features` for distances and neighbourhoods, as the recall and coverage of arXiv 2505.08175."""
    peak: float | None = Field(-1.0, le=0)
    """dBFS; None: as loud as it is."""
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int = Field(4, ge=1)
    """Windows at a time; changes nothing but memory and speed."""
    device: str = "cpu"

    def build(self) -> "PasstExtractor":
        """Loads the weights. Raises CheckpointError if they are not PaSST's."""
        if self.weights == "random":
            network, digest = random_passt(), "random"
        else:
            path = Path(self.weights)
            if not path.is_file():
                raise CheckpointError(f"{path}: no such file; give PaSST's released .pt, or `random`")
            network, digest = load_passt(path), file_digest(path)
        return (LoggingPasst if self.output == "logits" else PasstExtractor)(self, network, digest)


class PasstExtractor:
    """One row for each window of a clip of any rate, length and one or two channels."""

    sample_rate = None

    def __init__(self, settings: Settings, network: Passt, digest: str) -> None:
        self._settings, self._digest = settings, digest
        self._front_end = MelFrontEnd().to(settings.device)
        self._network = network.to(settings.device, getattr(torch, settings.precision))
        through_onednn(self._network)

    @torch.inference_mode()
    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[window, 527 or 768]."""
        clips = [windowed(self._heard(clip, audio.sample_rate)) for clip in audio]
        rows: dict[int, Tensor] = {}
        windows = [window for clip in clips for window in clip]
        for length in {len(window) for window in windows}:
            places = [place for place, window in enumerate(windows) if len(window) == length]
            told = self._rows(torch.stack([windows[place] for place in places]))
            rows |= dict(zip(places, told, strict=True))
        told_in_order = iter([rows[place] for place in range(len(windows))])
        return [torch.stack([next(told_in_order) for _ in clip]) for clip in clips]

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides a row."""
        s = self._settings
        return {
            "checkpoint": self._digest,
            "model": f"passt_s_swa_p16_128_ap476 {s.output}, hear21passt front end",
            "loudness": "as it is" if s.peak is None else f"peak {s.peak:g} dBFS, silence left",
            "resampler": f"soxr-hq to {SAMPLE_RATE} Hz",
            "channels": "averaged at the file's rate",
            "windows": "10 s every 5 s, filled up with silence from 1.5 s",
            "precision": s.precision,
        }

    def _heard(self, clip: Tensor, rate: int) -> Tensor:
        """float32[time] at 32 kHz. Raises AudioError if it is too short to be heard."""
        samples = resample(to_channels(clip, 1), rate, SAMPLE_RATE)
        if samples.shape[1] < FEWEST:
            seconds, needed = samples.shape[1] / SAMPLE_RATE, FEWEST / SAMPLE_RATE
            raise AudioError(f"{seconds:.3f} s are too short for PaSST: a patch takes {needed:.2f} s")
        return (samples if self._settings.peak is None else to_peak(samples, self._settings.peak))[0]

    def _rows(self, windows: Tensor) -> Tensor:
        place = {"device": self._settings.device, "dtype": getattr(torch, self._settings.precision)}
        return torch.cat(
            [
                self._told(self._front_end(part.to(self._settings.device)).to(**place)).float().cpu()
                for part in torch.split(windows, self._settings.batch)
            ]
        )

    def _told(self, mel: Tensor) -> Tensor:
        return self._network.features(mel)


class LoggingPasst(PasstExtractor):
    """The logits of AudioSet's classes, named by their number in its list."""

    labels = tuple(f"audioset-{number}" for number in range(CLASSES))

    def _told(self, mel: Tensor) -> Tensor:
        logits: Tensor = self._network(mel)[0]
        return logits


def windowed(samples: Tensor) -> list[Tensor]:
    """float32[time] at 32 kHz in windows of 10 s every 5 s.

    One of more than 1.5 s is filled up with silence; a shorter one, which only a short clip gives, is not.
    """
    starts = range(0, max(STEP, len(samples) - STEP), STEP)
    windows = [samples[start : start + WINDOW] for start in starts]
    return [
        torch.nn.functional.pad(window, (0, WINDOW - len(window))) if len(window) > SHORTEST else window
        for window in windows
    ]
