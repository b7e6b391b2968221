"""The findings of a report in sentences, each with the numbers it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arc_eval.records.basis import base_name
from arc_eval.records.measurement import Failure, Measurement
from arc_eval.report.comparison import Measured, best
from arc_eval.report.numbers import interval_text, value_text
from arc_eval.report.plots import latency_column
from arc_eval.report.source import Entry

HEADLINES: Mapping[str, str] = {
    "fd": "Closest to the recordings",
    "clap": "Follows its prompts best",
    "recognition": "Recognised most often as what was asked for",
    "ccds": "Varies most between takes",
}
"""Metric to what its best value means in words."""


CAPTIONED = ("kl", "kl_reverse", "clap", "recognition")
"""Metrics that hold a clip against its own prompt."""


@dataclass(frozen=True)
class Sentence:
    """`good`: a finding or a check that holds; `bad`: one that does not, or something lost."""

    text: str
    tone: Literal["finding", "good", "bad"] = "finding"


def sentences(entries: Sequence[Entry], columns: Sequence[Measured]) -> list[Sentence]:
    """Findings first, then checks of order, then what failed or is missing."""
    return [
        *_headlines(entries, columns),
        *_speed(entries, columns),
        *_order(entries, columns, "ceiling"),
        *_order(entries, columns, "floor"),
        *_losses(entries),
    ]


def _headlines(entries: Sequence[Entry], columns: Sequence[Measured]) -> Iterator[Sentence]:
    for column in columns:
        meaning = HEADLINES.get(base_name(column.metric))
        winners = best(column, entries)
        if meaning and winners:
            winner = sorted(winners)[0]
            rivals = [e.label for e in entries if e.system.role == "generator"]
            measured = [label for label in rivals if label in column.measurements()]
            doubt = _doubt(column, winner, measured)
            of = f"best of {len(measured)} generators{doubt}"
            yield Sentence(f"{meaning}: {winner}, {_number(column, winner)} ({of}).")


def _doubt(column: Measured, winner: str, rivals: Sequence[str]) -> str:
    """Which rivals' intervals reach into the winner's: the order among those may be chance."""
    numbers = column.measurements()
    own = numbers[winner].interval
    if own is None:
        return ", no interval"
    close = [
        label
        for label in rivals
        if label != winner
        and (other := numbers[label].interval) is not None
        and other.low <= own.high
        and own.low <= other.high
    ]
    return f"; its interval overlaps that of {', '.join(close)}" if close else ""


def _speed(entries: Sequence[Entry], columns: Sequence[Measured]) -> Iterator[Sentence]:
    latency = latency_column(columns)
    if latency is None or not (winners := best(latency, entries)):
        return
    times = {label: measured.value for label, measured in latency.measurements().items()}
    fastest, slowest = sorted(winners)[0], max(times, key=lambda label: times[label])
    factor = times[slowest] / times[fastest]
    pace = f"{factor:.1f} times as fast as {slowest}"
    yield Sentence(f"Fastest: {fastest}, {_number(latency, fastest)} ({pace}).")


def _order(
    entries: Sequence[Entry], columns: Sequence[Measured], role: Literal["ceiling", "floor"]
) -> Iterator[Sentence]:
    """Whether recordings beat every generator, and every generator beats wrong captions, on quality."""
    controls = [entry for entry in entries if entry.system.role == role]
    judged = [c for c in columns if c.group == "Quality" and c.direction in ("higher", "lower")]
    if role == "floor":
        # The floor is real sound: only what depends on the caption can be worse.
        judged = [column for column in judged if base_name(column.metric) in CAPTIONED]
    for control in controls:
        wrong, held = [], []
        for column in judged:
            if control.label in column.measurements():
                broken = _beaten(entries, column, control, role)
                wrong += [f"{label} on {column.title}" for label in broken]
                held += [] if broken else [column.title]
        if held:
            claim = "beats every generator" if role == "ceiling" else "is beaten by every generator"
            yield Sentence(f"{control.label} ({role}) {claim} on {', '.join(held)}.", "good")
        if wrong:
            claim = "does not beat" if role == "ceiling" else "is not beaten by"
            yield Sentence(f"{control.label} ({role}) {claim} {', '.join(wrong)}.", "bad")


def _beaten(entries: Sequence[Entry], column: Measured, control: Entry, role: str) -> list[str]:
    """Generators on the wrong side of a control."""
    numbers = column.measurements()
    sign = 1 if (column.direction == "higher") == (role == "ceiling") else -1
    level = sign * numbers[control.label].value
    generators = [
        entry.label for entry in entries if entry.system.role == "generator" and entry.label in numbers
    ]
    return [label for label in generators if sign * numbers[label].value >= level]


def _losses(entries: Sequence[Entry]) -> Iterator[Sentence]:
    for entry in entries:
        for result in entry.system.results:
            if isinstance(result, Failure):
                yield Sentence(f"{entry.label}: {result.metric} failed: {result.reason}", "bad")
        measured = [result.counts for result in entry.system.results if isinstance(result, Measurement)]
        lost = next((counts for counts in measured if counts.generated < counts.planned), None)
        if lost is not None:
            yield Sentence(
                f"{entry.label} lost {lost.planned - lost.generated} of {lost.planned} clips.", "bad"
            )
    for source in dict.fromkeys(entry.source.name for entry in entries):
        run = next(entry.source.run for entry in entries if entry.source.name == source)
        for stage, state in run.stages.items():
            if state != "done":
                yield Sentence(f"{source}: stage {stage} is {state}.", "bad")


def _number(column: Measured, label: str) -> str:
    measured = column.measurements()[label]
    parts = (value_text(measured, column.scale), column.scale.unit, interval_text(measured, column.scale))
    return f"{column.title} " + " ".join(filter(None, parts))
