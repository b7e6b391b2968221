"""What a suite asks for, clip by clip, each under the key of everything that decides it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arc_eval.contracts import DataSource, Generator, Recorded
from arc_eval.errors import AudioError, DataError
from arc_eval.offers import Trained
from arc_eval.pipeline.controls import HeldOut, exchanged
from arc_eval.pipeline.provenance import machine
from arc_eval.pipeline.recordings import answerable
from arc_eval.records.audio import clip_id
from arc_eval.records.prompt import Prompt
from arc_eval.records.run import Role
from arc_eval.seeding import clip_seed
from arc_eval.store import digest_of, source_digest
from arc_eval.suite import Part, Suite

STORED = ("arc_eval.dsp", "arc_eval.extractors.health", "arc_eval.pipeline.clips")
"""The modules that turn samples into a stored clip and its facts."""


@dataclass(frozen=True)
class Job:
    """One planned clip. `missing` says why there can be none; then the key is empty."""

    prompt: Prompt
    take: int
    seed: int
    key: str
    missing: str = ""

    @property
    def clip(self) -> str:
        """The name of the clip: `prompt#take`."""
        return clip_id(self.prompt.id, self.take)


@dataclass(frozen=True)
class PlannedSystem:
    """One row of the comparison before it is measured."""

    name: str
    role: Role
    part: Part
    settings: Mapping[str, Any]
    identity: Mapping[str, str]
    jobs: tuple[Job, ...]
    timed: bool
    """Whether it generates; recordings have no latency."""
    lineage: Mapping[str, Any] = field(default_factory=dict)


def chosen_prompts(source: DataSource, limit: int | None) -> tuple[Prompt, ...]:
    """The source's prompts, the first `limit` of them. Raises DataError for duplicate ids or none at all."""
    prompts = tuple(source.prompts())
    twice = [name for name, count in Counter(prompt.id for prompt in prompts).items() if count > 1]
    if twice:
        raise DataError(
            f"prompts: {len(twice)} ids are given more than once: {', '.join(twice[:5])}; make them unique"
        )
    if not prompts:
        raise DataError("prompts: the source has none; is its path or split right?")
    return prompts[:limit]


def planned(suite: Suite, prompts: Sequence[Prompt], device: str | None) -> list[PlannedSystem]:
    """Every system of a suite, controls first. Building each one here finds a bad checkpoint at once.

    Raises SuiteError for a device that is not there, before anything is loaded.
    """
    machine(suite, device or suite.device)
    return [*_controls(suite, prompts), *_generators(suite, prompts, device)]


def _controls(suite: Suite, prompts: Sequence[Prompt]) -> Iterator[PlannedSystem]:
    source = suite.recordings or suite.prompts
    for name, role in suite.controls.items():
        recorded: DataSource = source.build()
        # What cannot be had is not planned: the caption of the table says how much that is.
        asked = answerable(recorded, prompts)
        stand_ins = tuple(exchanged(asked, suite.seed).items()) if role == "floor" else ()
        part = Part(kind="recordings", settings=HeldOut(data=source, stand_ins=stand_ins))
        takes = min(suite.takes, recorded.takes())
        yield _recorded(asked, takes, name, role, part, {"kind": "recordings", "data": source.data()})


def _recorded(
    prompts: Sequence[Prompt], takes: int, name: str, role: Role, part: Part, settings: Mapping[str, Any]
) -> PlannedSystem:
    source: Recorded = part.build()
    jobs = tuple(_found(source, prompt, take) for prompt in prompts for take in range(takes))
    return PlannedSystem(name, role, part, settings, source.identity(), jobs, timed=False)


def _found(source: Recorded, prompt: Prompt, take: int) -> Job:
    try:
        decides = {
            "recording": source.origin(prompt, take),
            "code": source_digest(type(source).__module__, *STORED),
        }
        return Job(prompt, take, 0, digest_of(decides))
    except AudioError as error:
        return Job(prompt, take, 0, "", str(error))


def _generators(suite: Suite, prompts: Sequence[Prompt], device: str | None) -> Iterator[PlannedSystem]:
    for name, written in suite.generators.items():
        part = written.placed(device)
        made: Generator | Recorded = part.build()
        if isinstance(made, Recorded):
            yield _recorded(prompts, suite.takes, name, "generator", part, part.data())
            continue
        identity = dict(made.identity())
        jobs = tuple(
            _job(identity, prompt, take, clip_seed(suite.seed, prompt.id, take))
            for prompt in prompts
            for take in range(suite.takes)
        )
        lineage = made.lineage() if isinstance(made, Trained) else {}
        yield PlannedSystem(name, "generator", part, part.data(), identity, jobs, timed=True, lineage=lineage)


def _job(identity: Mapping[str, str], prompt: Prompt, take: int, seed: int) -> Job:
    decides = {
        "generator": identity,
        "text": prompt.text,
        "seconds": prompt.seconds,
        "seed": seed,
        "code": source_digest(*STORED),
    }
    return Job(prompt, take, seed, digest_of(decides))
