"""Audio as numbers: float32[clip, channel, time] in [-1, 1] by convention, one sample rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval.errors import AudioError


@dataclass(frozen=True)
class AudioBatch:
    """Clips of one rate and channel count, padded with zeros at the end to the longest.

    samples: float32[clip, channel, time]; lengths: true samples of each clip.
    Raises AudioError if the parts contradict each other. Values are not judged here: a NaN is
    a finding of the health extractor, not a reason to lose the batch.
    """

    samples: Tensor
    sample_rate: int
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.samples.ndim != 3 or self.samples.dtype != torch.float32:
            raise AudioError(
                f"audio must be float32[clip, channel, time], not "
                f"{self.samples.dtype}{list(self.samples.shape)}"
            )
        if len(self.lengths) != len(self.samples):
            raise AudioError(f"{len(self.samples)} clips but {len(self.lengths)} lengths")
        if any(not 0 <= length <= self.samples.shape[-1] for length in self.lengths):
            raise AudioError(f"a length lies outside 0..{self.samples.shape[-1]}: {self.lengths}")
        if self.sample_rate <= 0:
            raise AudioError(f"sample rate must be positive, not {self.sample_rate}")

    @classmethod
    def of(cls, clips: Sequence[Tensor], sample_rate: int) -> "AudioBatch":
        """Pads float[channel, time] clips of one channel count into a batch."""
        if not clips:
            raise AudioError("an audio batch needs at least one clip")
        lengths = tuple(clip.shape[-1] for clip in clips)
        samples = torch.zeros(len(clips), clips[0].shape[0], max(lengths))
        for row, clip in zip(samples, clips, strict=True):
            row[:, : clip.shape[-1]] = clip
        return cls(samples, sample_rate, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Tensor]:
        """Each clip as float32[channel, time] at its true length."""
        for clip, length in zip(self.samples, self.lengths, strict=True):
            yield clip[:, :length]


def clip_id(prompt_id: str, take: int) -> str:
    """The name of a generated clip within a Run: its prompt and its take."""
    return f"{prompt_id}#{take}"


@dataclass(frozen=True)
class Clip:
    """One generated (or recorded) clip: where it came from and what it holds."""

    prompt_id: str
    take: int
    seed: int
    sample_rate: int
    digest: str

    @property
    def id(self) -> str:
        """The name within a Run: `prompt#take`."""
        return clip_id(self.prompt_id, self.take)
