"""How far Run B lies above Run A, system by system and metric by metric: every difference is B - A.

A metric with a score for each clip is paired by prompt; a metric of the whole set by each prompt's
influence on it, or, where a Run of an earlier version has none, through both intervals and stated as
unpaired. What was measured differently, or on another number of clips where that matters, is never
subtracted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from arc_eval.errors import IncompleteError, NotComparableError, SuiteError, suggest
from arc_eval.gate import change
from arc_eval.gate.change import Ratio
from arc_eval.gate.sizes import equalised, require_equal_sizes
from arc_eval.records.basis import base_name, basis, differing, extractor_name, is_timed
from arc_eval.records.measurement import Direction, Failure, Interval, Measurement
from arc_eval.records.parquet import read_clips, read_influence, read_scores
from arc_eval.records.prompt import Prompt, clusters
from arc_eval.records.run import Run, System

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""(system, metric) to clip id to score, or to unit to influence."""


@dataclass(frozen=True)
class Side:
    """One of the two Runs: what to call it, its record, its scores by clip, its influences by prompt.

    clusters: prompt id to the unit that it shares with its recording's other prompts, if it does.
    """

    name: str
    run: Run
    scores: Scores
    influence: Scores = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Side":
        """Raises RunError if the folder is not a Run."""
        run = Run.read(folder)
        scores: dict[tuple[str, str], dict[str, float]] = {}
        for row in read_scores(folder):
            scores.setdefault((row.system, row.metric), {})[row.clip] = row.score
        influence: dict[tuple[str, str], dict[str, float]] = {}
        for pull in read_influence(folder):
            influence.setdefault((pull.system, pull.metric), {})[pull.unit] = pull.value
        prompts = {Prompt(row.prompt, "", 0.0, recording=row.recording) for row in read_clips(folder)}
        return cls(folder.resolve().name, run, scores, influence, clusters(prompts))

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
    """How many prompts, their recordings, or groups of them, were paired; 0 if unpaired."""
    ratio: Ratio | None
    note: str = ""
    """How both numbers were equalised, if they were."""

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


def compare(a: Path, b: Path, *, equalise: bool = False) -> Comparison:
    """Compares two Run folders, systems paired by name.

    equalise: state numbers that rest on different numbers of clips as at the smaller one, where that
    can be done, and skip them where not. Raises NotComparableError, naming the fields, if what decides a
    metric that both have differs (prompts, takes, reference, extractor, settings; unless equalised, the
    number of clips where it matters), or if no system is in both; times of unequal machines are
    skipped with the reason. Raises RunError for a folder that is not a Run.
    """
    left, right = Side.read(a), Side.read(b)
    metrics = [metric for metric in left.run.metrics() if metric in right.run.metrics()]
    for metric in metrics:
        if not is_timed(metric):
            _require_equal_basis(left, right, metric)
            if not equalise:
                _require_equal_sizes(left, right, metric)
    names = [system.name for system in left.run.systems]
    others = [system.name for system in right.run.systems]
    shared = [name for name in names if name in others]
    if not shared:
        raise NotComparableError(f"no system is in both: {left.name} has {names}, {right.name} has {others}")
    found = [_attempt(left, right, system, metric, equalise) for system in shared for metric in metrics]
    return Comparison(
        left.name,
        right.name,
        tuple(item for item in found if isinstance(item, Difference)),
        tuple(item for item in found if isinstance(item, Skipped)),
        tuple(name for name in names if name not in others),
        tuple(name for name in others if name not in names),
    )


def difference(
    a: Side, system_a: str, b: Side, system_b: str, metric: str, *, equalise: bool = False
) -> Difference:
    """One metric of system B minus the same of system A.

    Raises NotComparableError, naming the fields, if it was measured differently, or on different
    numbers of clips where that matters and (with `equalise`) cannot be mended; IncompleteError if a
    side has no number, SuiteError for an unknown system.
    """
    left, right = a.measured(system_a, metric), b.measured(system_b, metric)
    _require_equal_basis(a, b, metric)
    if (left.unit, left.direction) != (right.unit, right.direction):
        raise NotComparableError(
            f"{metric}: {left.unit!r}, better {left.direction}, in {a.name}; "
            f"{right.unit!r}, better {right.direction}, in {b.name}"
        )
    names, note = (f"{a.name}/{system_a}", f"{b.name}/{system_b}"), ""
    if equalise:
        biases = _bias(a, system_a, metric), _bias(b, system_b, metric)
        left, right, note = equalised(metric, names[0], left, biases[0], names[1], right, biases[1])
    else:
        require_equal_sizes(metric, names[0], left, names[1], right)
    before, after = a.scores.get((system_a, metric)), b.scores.get((system_b, metric))
    by_clip = bool(before and after)
    pulls = a.influence.get((system_a, metric), {}), b.influence.get((system_b, metric), {})
    found = (
        change.paired(before or {}, after or {}, {**a.clusters, **b.clusters})
        if by_clip
        else change.linear(left, right, *pulls)
    )
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
        ratio=None if by_clip else change.linear_ratio(left, right, *pulls),
        note=note,
    )


def _attempt(a: Side, b: Side, system: str, metric: str, equalise: bool) -> Difference | Skipped | None:
    """A difference, or why there is none; None where neither side ever tried the metric."""
    if a.system(system).result(metric) is None and b.system(system).result(metric) is None:
        return None
    try:
        return difference(a, system, b, system, metric, equalise=equalise)
    except (IncompleteError, NotComparableError) as error:
        return Skipped(system, metric, str(error))


def _bias(side: Side, system: str, metric: str) -> Measurement | None:
    found = side.system(system).result(f"{base_name(metric)}_bias[{extractor_name(metric)}]")
    return found if isinstance(found, Measurement) else None


def _require_equal_sizes(a: Side, b: Side, metric: str) -> None:
    for system in a.run.systems:
        other = b.run.system(system.name)
        x, y = system.result(metric), other.result(metric) if other else None
        if isinstance(x, Measurement) and isinstance(y, Measurement):
            require_equal_sizes(metric, f"{a.name}/{system.name}", x, f"{b.name}/{system.name}", y)


def _require_equal_basis(a: Side, b: Side, metric: str) -> None:
    fields = differing(basis(a.run, metric), basis(b.run, metric))
    if fields:
        found = (f"{field}: {x!r} in {a.name}, {y!r} in {b.name}" for field, (x, y) in fields.items())
        raise NotComparableError(f"{metric} was not measured the same way: {'; '.join(found)}")
