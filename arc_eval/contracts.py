"""The contracts between the stages: what a plug-in must offer to be evaluated, measured or timed.

A plug-in is a frozen pydantic `Settings` class found by entry point; `build()` turns it into one of
the protocols below. A choice is made once, when the suite is read: after that it is an object.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from arc_eval.records.audio import AudioBatch
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Measurement
from arc_eval.records.prompt import Prompt, clusters
from arc_eval.records.run import Machine
from arc_eval.records.summary import Moments


class Settings(BaseModel):
    """Base of every plug-in's settings: unknown keys are errors, values never change."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    def build(self) -> Any:
        """The object that these settings describe."""
        raise TypeError(f"{type(self).__name__} describes nothing that can be built")


StageHook = Callable[[str], AbstractContextManager[Any]]
"""Called with a stage's name ("text", "encode", "step", "decode"); the stage runs inside what it returns."""


def untimed(stage: str) -> AbstractContextManager[Any]:
    """The hook that measures nothing."""
    return nullcontext()


class Progress(Protocol):
    """Shows how far a piece of long work is; the command line decides how."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Opens a bar of `total` units; call what it yields with the units just finished."""
        ...


def silent(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Progress that shows nothing."""
    return nullcontext(lambda _: None)


class Generator(Protocol):
    """Turns prompts into audio, one clip per prompt and seed."""

    sample_rate: int

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """Clip i is decided by prompt i and seed i alone: never by the batch, its order or the device.

        Clip i holds exactly round(prompts[i].seconds * sample_rate) samples.
        """
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides a clip besides prompt and seed: weights digest, steps, sampler, ..."""
        ...


@runtime_checkable
class Recorded(Protocol):
    """Clips that exist already: read by prompt and take, never generated or timed."""

    sample_rate: int

    def origin(self, prompt: Prompt, take: int) -> Mapping[str, str]:
        """What decides the recording's content. Raises AudioError with the reason when there is none."""
        ...

    def recording(self, prompt: Prompt, take: int) -> Tensor:
        """float32[channel, time] at `sample_rate`. Raises AudioError if it cannot be read."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Where the recordings come from."""
        ...


class Extractor(Protocol):
    """Describes each clip by rows of numbers: one for the clip, or one for each window of it."""

    sample_rate: int | None
    """What clips are resampled to before it hears them; None: it hears each at its own rate."""

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[row, feature]. The batch decides nothing."""
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides the rows: checkpoint digest, resampler, channels, loudness, windows."""
        ...


@runtime_checkable
class Hearing(Protocol):
    """An extractor in two steps: clips are prepared on the CPU while its network is at the clips before.

    `embed` is `rows` of what was heard.
    """

    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """What the network reads of float32[channel, time]; several threads may ask at once.

        Raises AudioError if the clip cannot be described.
        """
        ...

    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """Per clip, float32[row, feature]. The batch decides nothing."""
        ...


@runtime_checkable
class TextExtractor(Protocol):
    """An extractor that places captions in the same space as clips."""

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """float32[text, feature]."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """An extractor whose features are classes."""

    labels: tuple[str, ...]
    """The class of each column."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one system when a metric judges it; embeddings by extractor name.

    generated: rows of the system's clips, owners `prompt#take`; reference: rows of the reference
    recordings; text: one row for each prompt, owned by the prompt id, for text extractors.
    `counts` are of the system's clips; a metric narrows `scored` to what entered its number.
    """

    prompts: Mapping[str, Prompt]
    generated: Mapping[str, Embedding]
    reference: Mapping[str, Embedding]
    text: Mapping[str, Embedding] = field(default_factory=dict)
    paired: Mapping[str, Embedding] = field(default_factory=dict)
    """Recordings of the suite's own prompts, owners `prompt#take`, for metrics that compare a clip
    with the recording of its caption."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column names of an extractor whose features are classes, by extractor name."""
    moments: Mapping[str, Moments] = field(default_factory=dict)
    """Mean and covariance of the reference, where there are no rows of it, by extractor name."""
    counts: Counts = field(default_factory=lambda: Counts(0, 0, 0))

    @cached_property
    def clusters(self) -> Mapping[str, str]:
        """Prompt id to the unit of intervals that it shares with its recording's other prompts, if so."""
        return clusters(self.prompts.values())


class Metric(Protocol):
    """Judges a set of clips by their embeddings alone."""

    name: str
    """Full name of the result, extractor included: `fd[tiny-clap]`."""
    extractor: str
    """Which extractor's embeddings it reads, by its name in the suite."""

    def measure(self, evidence: Evidence) -> Sequence[Measurement]:
        """One or more finite results. Raises IncompleteError with the reason when there is none."""
        ...


@runtime_checkable
class PerClip(Protocol):
    """A metric that is the mean of a score for each clip; comparisons pair these by prompt."""

    def scores(self, evidence: Evidence) -> Mapping[str, float]:
        """Clip id to score, finite. Clips that cannot be scored are absent."""
        ...


class DataSource(Protocol):
    """Prompts and the recordings they caption."""

    sample_rate: int

    def prompts(self) -> Sequence[Prompt]:
        """Every prompt, in a fixed order, with unique ids."""
        ...

    def takes(self) -> int:
        """How many different recordings of each prompt there are: 0 for a list of prompts alone."""
        ...

    def audio(self, prompt_id: str, take: int = 0) -> Tensor:
        """float32[channel, time] at `sample_rate`. Raises AudioError if it cannot be read."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides prompts and recordings."""
        ...


class Reading(Protocol):
    """What a meter saw between entry and exit."""

    seconds: float
    cpu_seconds: float
    stages: Sequence[tuple[str, float]]
    """Name and seconds of each stage, in the order they ended."""
    peak_bytes: int

    def stage(self, name: str) -> AbstractContextManager[Any]:
        """The hook for a generator: times one of its stages."""
        ...


class Target(Protocol):
    """A place where a generator can run and be timed."""

    def machine(self) -> Machine:
        """Facts of the hardware and software that decide a time."""
        ...

    def load(self, settings: Settings) -> Generator:
        """Builds the generator on this target."""
        ...

    def meter(self) -> AbstractContextManager[Reading]:
        """Times what runs inside it."""
        ...


Device = torch.device | str
