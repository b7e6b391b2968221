"""How far Run B lies above Run A, system by system and metric by metric: every difference is B - A.

A metric with a score for each clip is paired by prompt; a metric of the whole set is compared
through both intervals and stated as unpaired. What was measured differently is never subtracted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arc_eval.errors import IncompleteError, NotComparableError, SuiteError, suggest
from arc_eval.gate import change
from arc_eval.gate.change import Ratio
from arc_eval.records.basis import basis, differing, is_timed
from arc_eval.records.measurement import Direction, Failure, Interval, Measurement
from arc_eval.records.parquet import read_scores
from arc_eval.records.run import Run, System

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""(system, metric) to clip id to score."""


@dataclass(frozen=True)
class Side:
    """One of the two Runs: what to call it, its record, its scores by clip."""

    name: str
    run: Run
    scores: Scores

    @classmethod
    def read(cls, folder: Path) -> "Side":
        """Raises RunError if the folder is not a Run."""
        run = Run.read(folder)
        scores: dict[tuple[str, str], dict[str, float]] = {}
        for row in read_scores(folder):
            scores.setdefault((row.system, row.metric), {})[row.clip] = row.score
        return cls(folder.resolve().name, run, scores)

    def system(self, name: str) -> System:
        """Raises SuiteError with the near miss if the Run has no such system."""
        system = self.run.system(name)
        if system is None:
            names = [system.name for system in self.run.systems]
            raise SuiteError(f"{self.name}: no system {name!r}; {suggest(name, names)}")
        return system

    def measured(self, system: str, metric: str) -> Measurement:
        """Raises IncompleteError if the metric failed or was not measured."""
        result = self.system(system).result(metric)
        if result is None:
            raise IncompleteError(f"{self.name}: {system} has no {metric}")
        if isinstance(result, Failure):
            raise IncompleteError(f"{self.name}: {metric} of {system} failed: {result.reason}")
        return result


@dataclass(frozen=True)
class Difference:
    """B - A for one metric, in its unit; `ratio` is B / A for positive metrics of the whole set.

    Paired, it is the mean over shared prompts of the difference of their clip means, which is near,
    not always equal to, the difference of the two values.
    """

    system: str
    metric: str
    unit: str
    direction: Direction
    a: Measurement
    b: Measurement
    value: float
    interval: Interval | None
    no_interval: str
    pairing: Literal["paired", "unpaired"]
    prompts: int
    """How many prompts were paired; 0 if unpaired."""
    ratio: Ratio | None

    @property
    def favours(self) -> Literal["a", "b"] | None:
        """The better side, where the direction says which and the interval excludes zero."""
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return None
        if self.direction not in ("higher", "lower"):
            return None
        return "b" if (self.interval.low > 0) == (self.direction == "higher") else "a"


@dataclass(frozen=True)
class Skipped:
    """A difference that could not be had, and why."""

    system: str
    metric: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """All differences B - A, what could not be compared, and systems that only one Run has."""

    a: str
    b: str
    differences: tuple[Difference, ...]
    skipped: tuple[Skipped, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]


def compare(a: Path, b: Path) -> Comparison:
    """Compares two Run folders, systems paired by name.

    Raises NotComparableError, naming the fields, if what decides a metric that both have differs
    (prompts, takes, reference, extractor, settings), or if no system is in both; times of unequal
    machines are skipped with the reason. Raises RunError for a folder that is not a Run.
    """
    left, right = Side.read(a), Side.read(b)
    metrics = [metric for metric in left.run.metrics() if metric in right.run.metrics()]
    for metric in metrics:
        if not is_timed(metric):
            _require_equal_basis(left, right, metric)
    names = [system.name for system in left.run.systems]
    others = [system.name for system in right.run.systems]
    shared = [name for name in names if name in others]
    if not shared:
        raise NotComparableError(f"no system is in both: {left.name} has {names}, {right.name} has {others}")
    found = [_attempt(left, right, system, metric) for system in shared for metric in metrics]
    return Comparison(
        left.name,
        right.name,
        tuple(item for item in found if isinstance(item, Difference)),
        tuple(item for item in found if isinstance(item, Skipped)),
        tuple(name for name in names if name not in others),
        tuple(name for name in others if name not in names),
    )


def difference(a: Side, system_a: str, b: Side, system_b: str, metric: str) -> Difference:
    """One metric of system B minus the same of system A.

    Raises NotComparableError, naming the fields, if it was measured differently, IncompleteError if
    a side has no number, SuiteError for an unknown system.
    """
    left, right = a.measured(system_a, metric), b.measured(system_b, metric)
    _require_equal_basis(a, b, metric)
    if (left.unit, left.direction) != (right.unit, right.direction):
        raise NotComparableError(
            f"{metric}: {left.unit!r}, better {left.direction}, in {a.name}; "
            f"{right.unit!r}, better {right.direction}, in {b.name}"
        )
    before, after = a.scores.get((system_a, metric)), b.scores.get((system_b, metric))
    by_clip = bool(before and after)
    found = change.paired(before or {}, after or {}) if by_clip else change.unpaired(left, right)
    return Difference(
        system=system_b,
        metric=metric,
        unit=left.unit,
        direction=left.direction,
        a=left,
        b=right,
        value=found.value,
        interval=found.interval,
        no_interval=found.no_interval,
        pairing=found.pairing,
        prompts=found.prompts,
        ratio=None if by_clip else change.ratio(left, right),
    )


def _attempt(a: Side, b: Side, system: str, metric: str) -> Difference | Skipped | None:
    """A difference, or why there is none; None where neither side ever tried the metric."""
    if a.system(system).result(metric) is None and b.system(system).result(metric) is None:
        return None
    try:
        return difference(a, system, b, system, metric)
    except (IncompleteError, NotComparableError) as error:
        return Skipped(system, metric, str(error))


def _require_equal_basis(a: Side, b: Side, metric: str) -> None:
    fields = differing(basis(a.run, metric), basis(b.run, metric))
    if fields:
        found = (f"{field}: {x!r} in {a.name}, {y!r} in {b.name}" for field, (x, y) in fields.items())
        raise NotComparableError(f"{metric} was not measured the same way: {'; '.join(found)}")
