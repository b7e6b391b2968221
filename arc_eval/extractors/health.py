"""Signal health: one row of plain facts about a clip's samples, over all channels. Nothing is learned.

All facts but `nan` are of the finite samples; one that is not finite counts as 0 there. Levels are in
dB below full scale (1.0), no lower than -144: nothing quieter fits in 24 bits.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from arc_eval import contracts
from arc_eval.errors import AudioError
from arc_eval.records.audio import AudioBatch

CLIPPED_FROM = 0.999
SILENT_BELOW_DB = -60.0
FLOOR_DB = -144.0
FRAME_SECONDS = 0.02

COLUMNS = (
    "peak", "rms_db", "crest_db", "clipping", "silence", "empty", "nan", "dc", "crossings", "correlation",
)  # fmt: skip
"""Columns of a row, in order; `describe` says what they hold."""


def describe(
    samples: Tensor,  # float[channel, time]
    sample_rate: int,
) -> dict[str, float]:
    """The facts of one clip by COLUMNS, in float64.

    peak: largest absolute sample. rms_db, crest_db: level, and how far the peak stands above it.
    clipping, nan: share of samples at or beyond 0.999, and not finite. silence: share of the time in
    20 ms frames below -60 dB; empty: 1 if that is all of it. dc: largest absolute mean of a channel.
    crossings: sign changes per sample. correlation: of neighbouring channels, -1..1, 1 for mono.
    Raises AudioError for a clip without samples.
    """
    if samples.numel() == 0:
        raise AudioError(f"a clip of shape {list(samples.shape)} has no samples to describe")
    finite = samples.isfinite()
    sound = samples.double().where(finite, 0.0)
    peak, rms = float(sound.abs().max()), float(sound.square().mean().sqrt())
    silence = silent_share(sound, max(1, round(FRAME_SECONDS * sample_rate)))
    facts = {
        "peak": peak,
        "rms_db": decibels(rms),
        "crest_db": decibels(peak) - decibels(rms),
        "clipping": _share(sound.abs() >= CLIPPED_FROM),
        "silence": silence,
        "empty": float(silence == 1.0),
        "nan": _share(~finite),
        "dc": float(sound.mean(1).abs().max()),
        "crossings": _share(sound[:, 1:].signbit() != sound[:, :-1].signbit()),
        "correlation": correlation(sound),
    }
    return {column: facts[column] for column in COLUMNS}


def decibels(amplitude: float) -> float:
    """20 log10 of an amplitude, no lower than FLOOR_DB."""
    return max(FLOOR_DB, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DB


def silent_share(
    sound: Tensor,  # float64[channel, time]
    frame: int,
) -> float:
    """Share of the samples that lie in silent frames of `frame` samples, the last one possibly shorter."""
    energy = sound.square().mean(0)
    owner = torch.arange(len(energy)) // frame
    lengths = owner.bincount()
    power = owner.bincount(energy) / lengths
    silent = lengths[power < 10 ** (SILENT_BELOW_DB / 10)].sum()
    return float(silent / len(energy))


def correlation(
    sound: Tensor,  # float64[channel, time]
) -> float:
    """Mean correlation of neighbouring channels; equal ones (even silent) give 1, one silent one 0."""
    left, right = sound[:-1], sound[1:]
    if len(left) == 0:
        return 1.0
    scale = (left.square().sum(1) * right.square().sum(1)).sqrt()
    correlations = torch.where(scale > 0, (left * right).sum(1) / scale.clamp(min=1e-300), 0.0)
    return float(correlations.where((left != right).any(1), 1.0).mean().clamp(-1, 1))


class Health:
    """Describes each clip by one row of COLUMNS."""

    sample_rate = 44100

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[1, column]."""
        facts = [describe(clip, audio.sample_rate) for clip in audio]
        return [torch.tensor([list(fact.values())], dtype=torch.float32) for fact in facts]

    def fingerprint(self) -> Mapping[str, str]:
        """Every constant that a row depends on, and the columns' names."""
        return {
            "extractor": "health 1",
            "columns": ",".join(COLUMNS),
            "sample_rate": str(self.sample_rate),
            "channels": "all",
            "loudness": "untouched",
            "windows": f"whole clip, frames of {FRAME_SECONDS} s",
            "thresholds": f"clipped {CLIPPED_FROM}, silent {SILENT_BELOW_DB} dB, floor {FLOOR_DB} dB",
        }


class Settings(contracts.Settings):
    """`{kind: health}`."""

    def build(self) -> Health:
        """The extractor of these settings."""
        return Health()


def _share(condition: Tensor) -> float:
    return float(condition.double().mean()) if condition.numel() else 0.0
