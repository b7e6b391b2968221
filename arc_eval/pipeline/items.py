"""What there is to describe: clips, and recordings that still lie in their data sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from arc_eval.code import code_digest
from arc_eval.contracts import DataSource
from arc_eval.errors import AudioError, DataError
from arc_eval.pipeline.alter import Readable
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.pool import built
from arc_eval.pipeline.recordings import obtainable, one_of_each
from arc_eval.records.audio import clip_id
from arc_eval.records.prompt import Prompt
from arc_eval.suite import Part


@dataclass(frozen=True)
class Recording:
    """A recording still in its data source."""

    source: Part
    id: str
    take: int

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate. Raises AudioError."""
        source: DataSource = built(self.source)
        samples = source.audio(self.id, self.take)
        if not samples.numel() or not samples.isfinite().all():
            raise AudioError(
                f"{self.id}: the recording is empty or holds samples that are not finite numbers"
            )
        return samples, source.sample_rate


@dataclass(frozen=True)
class Item:
    """Something to describe: who owns the rows, what decides its content, where it is read."""

    owner: str
    origin: Mapping[str, str]
    audio: Readable


def clip_items(outcomes: Sequence[Outcome]) -> list[Item]:
    """A system's clips; what failed has nothing to describe."""
    return [
        Item(outcome.job.clip, {"clip": outcome.clip.digest}, outcome.clip)
        for outcome in outcomes
        if outcome.clip
    ]


def reference_items(part: Part, source: DataSource, take: int = 0) -> list[Item]:
    """Each recording of a data source (`part`, built) once, owned by the first of its prompts.

    Those declared missing are left out. Raises DataError if the source has no recordings.
    """
    if not source.takes():
        raise DataError("reference: the data source has captions but no recordings; name one with audio")
    identity = _identity(source)
    return [_item(prompt.id, part, identity, prompt, take) for prompt in one_of_each(obtainable(source))]


def paired_items(part: Part, prompts: Sequence[Prompt], takes: int) -> list[Item]:
    """The source's recordings of the prompts that it knows by id, `takes` of each at most.

    Prompts whose recordings were declared missing have none.
    """
    source: DataSource = part.build()
    identity = _identity(source)
    known = {prompt.id: prompt for prompt in obtainable(source)}
    return [
        _item(clip_id(prompt.id, take), part, identity, known[prompt.id], take)
        for prompt in prompts
        if prompt.id in known
        for take in range(min(takes, source.takes()))
    ]


def _identity(source: DataSource) -> dict[str, str]:
    return {**source.identity(), "code": code_digest(source)}


def _item(owner: str, part: Part, identity: Mapping[str, str], prompt: Prompt, take: int) -> Item:
    origin = {**identity, "id": prompt.unit, "take": str(take)}
    return Item(owner, origin, Recording(part, prompt.id, take))
