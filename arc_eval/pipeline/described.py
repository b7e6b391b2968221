"""Everything a suite's extractors say: of each system's clips, the reference, captions and recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arc_eval.contracts import DataSource, Evidence, Extractor, Progress
from arc_eval.pipeline.extract import (
    Described,
    Item,
    clip_items,
    describe,
    describe_captions,
    reference_items,
)
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.pool import Pool, together
from arc_eval.records.measurement import Counts
from arc_eval.records.prompt import Prompt
from arc_eval.store import Store, digest_of
from arc_eval.suite import Part, Suite

ByExtractor = dict[str, Described]


@dataclass(frozen=True)
class DescribedRun:
    """Rows by extractor, for every system and for what all systems are judged by."""

    prompts: Sequence[Prompt]
    generated: Mapping[str, ByExtractor]
    """By system name."""
    reference: ByExtractor = field(default_factory=dict)
    text: ByExtractor = field(default_factory=dict)
    paired: ByExtractor = field(default_factory=dict)
    fingerprints: dict[str, Mapping[str, str]] = field(default_factory=dict)
    reference_digest: str = ""
    """Of everything that decides the reference set; empty if nothing is judged by it."""
    recordings_digest: str = ""
    """Of everything that decides the recordings of the prompts; empty if there are none."""
    problems: list[str] = field(default_factory=list)
    """A line for each set of clips of which some could not be described."""

    def evidence(self, system: str, counts: Counts) -> Evidence:
        """What metrics judge one system by."""
        described = self.generated[system]
        return Evidence(
            prompts={prompt.id: prompt for prompt in self.prompts},
            generated={name: table.rows for name, table in described.items()},
            reference={name: table.rows for name, table in self.reference.items()},
            text={name: table.rows for name, table in self.text.items()},
            paired={name: table.rows for name, table in self.paired.items()},
            labels={name: table.labels for name, table in described.items() if table.labels},
            counts=counts,
        )

    def take(self, into: ByExtractor, name: str, described: Described | None, title: str) -> None:
        """Files a set's rows under the extractor's name and says what was lost."""
        if described is None:
            return
        if len(described.rows):
            into[name] = described
        if described.lost:
            owner, reason = next(iter(described.lost.items()))
            count = len(described.lost)
            self.problems.append(f"{title}: {count} not described by {name}; {owner}: {reason}")


def describe_all(
    suite: Suite,
    parts: Mapping[str, Part],
    prompts: Sequence[Prompt],
    outcomes: Mapping[str, Sequence[Outcome]],
    paired: Sequence[Item],
    store: Store,
    pool: Pool,
    progress: Progress,
) -> DescribedRun:
    """Runs every extractor over everything; all stay loaded, so that each clip is read once."""
    if not parts:
        return DescribedRun(prompts, {name: {} for name in outcomes})
    source: DataSource = suite.reference.build()
    recorded: DataSource = (suite.recordings or suite.prompts).build()
    reference = reference_items(suite.reference, source)
    found = DescribedRun(
        prompts,
        {name: {} for name in outcomes},
        reference_digest=digest_of(dict(source.identity())),
        recordings_digest=digest_of(dict(recorded.identity())) if paired else "",
    )
    extractors: tuple[Extractor, ...] = together(tuple(parts.values()))
    for name, extractor in zip(parts, extractors, strict=True):
        found.fingerprints[name] = dict(extractor.fingerprint())
        found.take(found.text, name, describe_captions(extractor, prompts, store), "captions")
    sets = [
        ("reference", found.reference, reference),
        ("recordings of the prompts", found.paired, paired),
        *((system, found.generated[system], clip_items(made)) for system, made in outcomes.items()),
    ]
    for title, into, items in sets:
        for name, rows in describe(parts, items, store, pool, progress, f"listen: {title}").items():
            found.take(into, name, rows, title)
    return found
