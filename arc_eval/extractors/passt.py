"""PaSST as stable-audio-metrics listens with it: 527 AudioSet logits for each clip, or its features.

Channels are averaged at 32 kHz, the peak is brought to -1 dBFS, windows of 10 s begin every 5 s, and their
rows are averaged before any softmax. Two things differ from the original: digital silence is heard as
it is, where the original's gain turns it into NaN; and windows go through the network together.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import to_channels
from arc_eval.errors import AudioError
from arc_eval.extractors.alike import alike
from arc_eval.extractors.loudness import peak_normalised
from arc_eval.models.audioset import audioset_labels
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.passt import PATCH, Passt
from arc_eval.models.passt_mel import HOP, SAMPLE_RATE, PasstMel
from arc_eval.models.passt_weights import OFFICIAL, LoadedPasst, load_passt
from arc_eval.records.audio import AudioBatch

WINDOW = 10 * SAMPLE_RATE
STEP = 5 * SAMPLE_RATE
FILLED_ABOVE = SAMPLE_RATE * 3 // 2
"""A window of more samples than these is filled with zeros; a shorter one is heard as short as it is."""
SHORTEST = (PATCH - 1) * HOP + 1
"""Samples of one column of patches: 0.15 s."""
WINDOWS = {
    "overlapping": "10 s every 5 s, filled with zeros if longer than 1.5 s, mean of rows",
    "segments": "10 s without overlap, not filled, less than 0.15 s dropped, a row for each",
}
TOGETHER = 16
"""Windows to compute at once on an accelerator. On a CPU one by one is fastest: it stays in the cache."""


def windows(
    samples: Tensor,  # float32[time]
) -> list[Tensor]:
    """The stretches of a clip that are heard one by one, each at most 10 s long.

    One begins every 5 s as long as more than 5 s are left, and the first one always. Source:
    stable-audio-metrics; its comment says that short windows are dropped, its code does not.
    """
    starts = range(0, max(STEP, len(samples) - STEP), STEP)
    return [_filled(samples[start : start + WINDOW]) for start in starts]


def _filled(window: Tensor) -> Tensor:
    if len(window) <= FILLED_ABOVE:
        return window
    return torch.nn.functional.pad(window, (0, WINDOW - len(window)))


def segments(
    samples: Tensor,  # float32[time]
) -> list[Tensor]:
    """Ten seconds at a time, not filled; a rest of less than 0.15 s is dropped. As audiocraft."""
    return [part for part in torch.split(samples, WINDOW) if len(part) >= SHORTEST]


class PasstExtractor:
    """One row for each clip of at least 0.15 s, the mean over its windows; or one for each segment."""

    sample_rate = SAMPLE_RATE

    def __init__(self, loaded: LoadedPasst, settings: "Settings") -> None:
        self.digest, self.settings = loaded.digest, settings
        self.device = torch.device(settings.device)
        on_cpu = self.device.type == "cpu"
        self.network: Passt = loaded.network.compute_in(getattr(torch, settings.precision)).to(self.device)
        if on_cpu:
            through_onednn(self.network)
        self.mel = PasstMel().to(self.device)
        self.batch = settings.batch or (1 if on_cpu else TOGETHER)

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[1 or segment, 527 classes], or float32[1 or segment, 768] of features.

        Raises AudioError for another sample rate, and for a clip that is too short or not finite.
        """
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    @torch.inference_mode()
    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """float32[time], levelled. Raises AudioError as `embed`."""
        if sample_rate != SAMPLE_RATE:
            raise AudioError(f"PaSST hears {SAMPLE_RATE} Hz, not {sample_rate} Hz")
        return _levelled(samples, self.settings.peak)

    @torch.inference_mode()
    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """Per clip, the mean over its windows, or each segment's."""
        overlapping = self.settings.windows == "overlapping"
        cut = [windows(clip) if overlapping else segments(clip) for clip in heard]
        rows = torch.split(
            self._through([window for clip in cut for window in clip]), [len(clip) for clip in cut]
        )
        return [of_clip.mean(0, keepdim=True) for of_clip in rows] if overlapping else list(rows)

    def _through(self, heard: Sequence[Tensor]) -> Tensor:
        """float32[window, column]; windows of one length are computed together."""
        rows: dict[int, Tensor] = {}
        for group in alike([len(window) for window in heard], self.batch):
            mel = self.mel(torch.stack([heard[index] for index in group]).to(self.device))
            found = getattr(self.network(mel), self.settings.rows).float().cpu()
            rows |= dict(zip(group, found, strict=True))
        return torch.stack([rows[index] for index in range(len(heard))])

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides a row."""
        peak = self.settings.peak
        return {
            "extractor": "passt 1",
            "architecture": "passt_s_swa_p16_128_ap476",
            "checkpoint": self.digest,
            "rows": self.settings.rows,
            "sample_rate": str(SAMPLE_RATE),
            "resampler": "soxr-hq",
            "channels": "mean",
            "loudness": "as it is"
            if peak is None
            else f"peak at {peak:g} dBFS after resampling, silence left",
            "windows": WINDOWS[self.settings.windows],
            "precision": self.settings.precision,
        }


class PasstTagger(PasstExtractor):
    """Rows of logits, one for each class of AudioSet."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class of each column."""
        return audioset_labels()


class Settings(contracts.Settings):
    """`{kind: passt}`, and `{kind: passt, rows: features}` for precision, recall and coverage."""

    weights: str = OFFICIAL
    """The released weights, a file, or `random/passt-s-swa-p16-128-ap476`."""
    rows: Literal["logits", "features"] = "logits"
    windows: Literal["overlapping", "segments"] = "overlapping"
    """As stable-audio-metrics, or as audiocraft."""
    peak: float | None = Field(-1.0, le=0)
    """dBFS; None: as loud as it is."""
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: Annotated[int, Field(ge=1)] | None = None
    """Windows to compute at once; decides speed and memory, not the rows."""
    device: str = "cpu"

    def build(self) -> PasstExtractor:
        """Loads the weights. Raises CheckpointError if they are absent or another network's."""
        kind = PasstTagger if self.rows == "logits" else PasstExtractor
        return kind(load_passt(self.weights), self)


def _levelled(clip: Tensor, peak: float | None) -> Tensor:
    """float32[channel, time] to float32[time]."""
    if clip.shape[-1] < SHORTEST:
        raise AudioError(
            f"a clip of {clip.shape[-1]} samples is too short for PaSST, which needs {SHORTEST} at "
            f"{SAMPLE_RATE} Hz ({SHORTEST / SAMPLE_RATE:.2f} s): leave it out, or let it end in silence"
        )
    broken = int((~clip.isfinite()).sum())
    if broken:
        raise AudioError(f"{broken} of {clip.numel()} samples are NaN or infinite: PaSST cannot hear them")
    mono = to_channels(clip, 1)[0]
    return mono if peak is None else peak_normalised(mono, peak)
