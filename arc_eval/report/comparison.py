"""The comparison table: every system of every Run against every metric.

Values of one column were measured the same way. Where Runs differ in what decides a metric
(prompts, reference, extractor, settings, machine), the metric has a column for each way, and a note
names the fields that differ. Only generators compete for the mark of the best value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from arc_eval.records.basis import base_name, basis, differing, is_timed
from arc_eval.records.measurement import Direction, Failure, Measurement, Result
from arc_eval.records.missing import Missing
from arc_eval.report.numbers import ARROWS, Scale, fitting_scale, interval_text, value_text
from arc_eval.report.source import Entry
from arc_eval.report.tables import Cell, Column, Row, Table, absent, failed

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Quality": (
        *("fd", "fd_bias", "fad_inf", "fad_inf_slope", "fad_inf_residual"),
        *("kd", "sw2", "kl", "clap", "recognition"),
    ),
    "Levels of kl": ("kl_chance", "kl_constant"),
    "Diversity and coverage": (
        *("ccds", "ccds_between", "vendi", "inception"),
        *("precision", "recall", "density", "coverage"),
    ),
}
"""Group to the metrics in it, by name without extractor; timed metrics are `Speed`, the rest `Signal`."""


@dataclass(frozen=True)
class Measured:
    """One column before it is set: the metric, the way it was measured, and a result for each entry."""

    metric: str
    title: str
    way: Mapping[str, str]
    results: Mapping[str, Result]
    """By entry label."""
    note: str = ""

    @property
    def group(self) -> str:
        """The group of columns it stands in."""
        if is_timed(self.metric):
            return "Speed"
        name = base_name(self.metric)
        return next((group for group, metrics in GROUPS.items() if name in metrics), "Signal")

    def measurements(self) -> dict[str, Measurement]:
        """The results that are numbers, by entry label."""
        return {label: r for label, r in self.results.items() if isinstance(r, Measurement)}

    @property
    def direction(self) -> Direction:
        """Which way is better; `none` if nothing was measured."""
        return next((m.direction for m in self.measurements().values()), "none")

    @property
    def scale(self) -> Scale:
        """The unit in which the whole column is shown."""
        found = list(self.measurements().values())
        return fitting_scale(found[0].unit if found else "", [m.value for m in found])


def measured_columns(entries: Sequence[Entry]) -> list[Measured]:
    """Every metric, and every way it was measured, in order of groups and then of appearance."""
    metrics = dict.fromkeys(metric for entry in entries for metric in entry.source.run.metrics())
    columns = [column for metric in metrics for column in _ways(metric, entries)]
    order = [*GROUPS, "Speed", "Signal"]
    return sorted(columns, key=lambda column: order.index(column.group))


def best(column: Measured, entries: Sequence[Entry]) -> frozenset[str]:
    """Labels of the generators with the best value; none without a direction, or if all are equal.

    For `target` metrics, those nearest to the ceiling measured the same way.
    """
    numbers = column.measurements()
    rivals = [e.label for e in entries if e.system.role == "generator" and e.label in numbers]
    goals = [numbers[e.label].value for e in entries if e.system.role == "ceiling" and e.label in numbers]
    if column.direction == "none" or (column.direction == "target" and not goals):
        return frozenset()
    distance: Mapping[Direction, Callable[[float], float]] = {
        "higher": lambda value: -value,
        "lower": lambda value: value,
        "target": lambda value: abs(value - goals[0]),
    }
    distances = {label: distance[column.direction](numbers[label].value) for label in rivals}
    winners = frozenset(label for label in rivals if distances[label] == min(distances.values()))
    return winners if len(winners) < len(rivals) else frozenset()


def comparison(entries: Sequence[Entry]) -> Table:
    """The table of all entries."""
    columns = measured_columns(entries)
    winners = [best(column, entries) for column in columns]
    rows = tuple(
        Row(
            entry.label,
            entry.system.role,
            tuple(
                result_cell(column, entry, entry.label in labels)
                for column, labels in zip(columns, winners, strict=True)
            ),
        )
        for entry in entries
    )
    heads = tuple(
        Column(column.title, column.group, ARROWS[column.direction], column.scale.unit, column.note)
        for column in columns
    )
    notes = tuple(dict.fromkeys(column.note for column in columns if column.note))
    sized = (_FD,) if any(base_name(column.metric) == "fd" for column in columns) else ()
    return Table("comparison", "Comparison", heads, rows, (*_LEGEND, *sized, *remarks(entries), *notes))


def remarks(entries: Sequence[Entry]) -> list[str]:
    """What must be known of the sets that systems were judged by: recordings declared missing, and more."""
    sets: dict[Missing, dict[str, None]] = {}
    for entry in entries:
        for name, missing in entry.source.run.missing.items():
            sets.setdefault(missing, {})[name] = None
    said = [missing.sentence(", ".join(names)) for missing, names in sets.items()]
    return list(dict.fromkeys([*said, *(text for entry in entries for text in entry.source.run.remarks)]))


_LEGEND = (
    "Brackets are confidence intervals.",
    "↑ higher is better, ↓ lower is better, → nearer to the recordings is better.",
    "The best value among generators is marked; ceiling and floor rows do not compete.",
)

_FD = (
    "fd falls as prompts and clips grow, of which fd_bias says by how much it lies above that of endless "
    "prompts: two fd compare only at equal numbers of clips."
)


def _ways(metric: str, entries: Sequence[Entry]) -> list[Measured]:
    """The columns of one metric: one for each set of entries that were measured the same way."""
    ways: list[tuple[Mapping[str, str], dict[str, Result]]] = []
    for entry in entries:
        result = entry.system.result(metric)
        if result is None:
            continue
        way = basis(entry.source.run, metric)
        same = next((results for known, results in ways if known == way), None)
        if same is None:
            ways.append((way, {entry.label: result}))
        else:
            same[entry.label] = result
    if len(ways) == 1:
        return [Measured(metric, metric, *ways[0])]
    return [
        Measured(
            metric, f"{metric} ({number})", way, results, _not_comparable(metric, number, ways[0][0], way)
        )
        for number, (way, results) in enumerate(ways, 1)
    ]


def _not_comparable(metric: str, number: int, first: Mapping[str, str], way: Mapping[str, str]) -> str:
    fields = differing(first, way)
    if not fields:
        return ""
    found = "; ".join(f"{field}: {a} in (1), {b} in ({number})" for field, (a, b) in fields.items())
    return f"{metric} ({number}) is not comparable with {metric} (1): {found}."


def result_cell(column: Measured, entry: Entry, is_best: bool = False) -> Cell:
    """The cell of one system: a value, or why there is none."""
    result = column.results.get(entry.label)
    if result is None:
        return absent(_why_absent(column, entry))
    if isinstance(result, Failure):
        return failed(result.reason)
    interval, counts = result.interval, result.counts
    return Cell(
        text=value_text(result, column.scale),
        interval=interval_text(result, column.scale),
        counts=f"{counts.scored}/{counts.generated}/{counts.planned}",
        note=f"{interval.level:.0%} interval, {interval.method}" if interval else result.no_interval,
        sort=result.value,
        best=is_best,
    )


def _why_absent(column: Measured, entry: Entry) -> str:
    if entry.system.result(column.metric) is not None:
        return "measured another way"
    if is_timed(column.metric):
        return "not timed" if entry.system.role == "generator" else "not a model"
    return "not measured"
