"""Everything a suite's extractors say: of each system's clips, the reference, captions and recordings."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arc_eval.contracts import DataSource, Evidence, Extractor, Progress
from arc_eval.offers import Summarised
from arc_eval.pipeline.captions import firsts, shared
from arc_eval.pipeline.extract import Described, describe, describe_captions
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.items import Item, clip_items, reference_items
from arc_eval.pipeline.kept import kept_labels, kept_summary
from arc_eval.pipeline.pool import Pool, together
from arc_eval.pipeline.recordings import declared_missing
from arc_eval.records.measurement import Counts
from arc_eval.records.missing import Missing
from arc_eval.records.prompt import Prompt
from arc_eval.records.summary import Moments
from arc_eval.store import Store, digest_of
from arc_eval.suite import Part, Suite
from arc_eval.suite.protocol import protocol_of

REFERENCE, RECORDINGS = "reference", "recordings of the prompts"
"""What the sets are called that every system is judged by."""

ByExtractor = dict[str, Described]

log = logging.getLogger(__name__)


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
    missing: Mapping[str, Missing] = field(default_factory=dict)
    """Set of recordings to those of it that were declared missing."""
    moments: dict[str, Moments] = field(default_factory=dict)
    """Of the reference, by extractor, where no more than statistics of it is here."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of what systems are judged by."""
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
            moments=self.moments,
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
            total = count + len(set(described.rows.owners))
            self.problems.append(f"{title}: {count} not described by {name}, of {total}; {owner}: {reason}")


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
    kept = isinstance(source, Summarised), isinstance(recorded, Summarised)
    reference = [] if kept[0] else reference_items(suite.reference, source)
    judges = {REFERENCE: source} | ({RECORDINGS: recorded} if paired or kept[1] else {})
    found = DescribedRun(
        prompts,
        {name: {} for name in outcomes},
        reference_digest=digest_of(dict(source.identity())),
        recordings_digest=digest_of(dict(recorded.identity())) if RECORDINGS in judges else "",
        missing=_declared(judges),
        remarks=_remarks(judges),
    )
    extractors: tuple[Extractor, ...] = together(tuple(parts.values()))
    for (name, part), extractor in zip(parts.items(), extractors, strict=True):
        told = {"protocol": protocol_of(name)} if protocol_of(name) else {}
        found.fingerprints[name] = {**told, **extractor.fingerprint()}
        found.take(found.text, name, describe_captions(extractor, prompts, store), "captions")
        if (summary := kept_summary(source, name, part.kind, extractor)) and summary.moments:
            found.moments[name] = summary.moments
        if summary := kept_summary(recorded, name, part.kind, extractor):
            labels = kept_labels(summary, recorded, prompts, suite.takes)
            found.take(found.paired, name, labels, RECORDINGS)
    sets = [
        (REFERENCE, found.reference, reference),
        (RECORDINGS, found.paired, paired),
        *((system, found.generated[system], clip_items(made)) for system, made in outcomes.items()),
    ]
    for title, into, items in sets:
        if items:
            heard = describe(parts, firsts(items), store, pool, progress, f"listen: {title}")
            each = {name: shared(rows, items) for name, rows in heard.items()}
            for name, rows in each.items():
                found.take(into, name, rows, title)
            _warn(title, each)
    return found


def _warn(title: str, heard: ByExtractor) -> None:
    """A line for each clip that was lost, whatever the number of extractors that lost it."""
    losers: dict[tuple[str, str], list[str]] = {}
    for name, rows in heard.items():
        for owner, reason in rows.lost.items():
            losers.setdefault((owner, reason), []).append(name)
    for (owner, reason), names in losers.items():
        log.warning("%s: %s: not described by %s: %s", title, owner, ", ".join(names), reason)


def _declared(sources: Mapping[str, DataSource]) -> dict[str, Missing]:
    found = {name: declared_missing(source) for name, source in sources.items()}
    return {name: missing for name, missing in found.items() if missing is not None}


def _remarks(sources: Mapping[str, DataSource]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {remark}"
        for name, source in sources.items()
        if isinstance(source, Summarised)
        for remark in ("kept statistics, no recordings: no canary could be made of them", *source.remarks)
    )
