"""Tables as CSV: numbers in full and in their raw unit; text cannot become a formula.

Long: one line for each result. Wide: one line for each system. Both are UTF-8 with `\\n`.
"""

import csv
import io
from collections.abc import Iterable, Sequence

from arc_eval.escape import csv as escape
from arc_eval.records.measurement import Failure, Result
from arc_eval.report.comparison import Measured, measured_columns
from arc_eval.report.source import Entry
from arc_eval.report.tables import Table

Field = str | int | float | None

LONG = (
    "run", "system", "role", "metric", "value", "unit", "direction", "low", "high", "level", "method",
    "no_interval", "planned", "generated", "scored", "failure",
)  # fmt: skip


def long(entries: Sequence[Entry]) -> str:
    """Every result of every system, failures with their reason."""
    lines = [
        [entry.source.name, entry.system.name, entry.system.role, *_result(result)]
        for entry in entries
        for result in entry.system.results
    ]
    return _text([list(LONG), *lines])


def wide(entries: Sequence[Entry]) -> str:
    """One line for each system; each metric has its value, both ends of its interval and the clips scored."""
    columns = measured_columns(entries)
    head = [f"{column.title}{part}" for column in columns for part in ("", " low", " high", " scored")]
    lines = [
        [entry.label, entry.system.role, *(field for column in columns for field in _four(column, entry))]
        for entry in entries
    ]
    return _text([["system", "role", *head], *lines])


def plain(table: Table) -> str:
    """Any table as it is shown, cells with their intervals in one field."""
    head = ["system", *(f"{column.group}: {column.heading}" for column in table.columns)]
    return _text([head, *([row.title, *(cell.full for cell in row.cells)] for row in table.rows)])


def _result(result: Result) -> list[Field]:
    if isinstance(result, Failure):
        counts = result.counts
        numbers: list[Field] = (
            [None] * 3 if counts is None else [counts.planned, counts.generated, counts.scored]
        )
        return [result.metric, *[None] * 8, *numbers, result.reason]
    interval, counts = result.interval, result.counts
    ends: list[Field] = (
        [interval.low, interval.high, interval.level, interval.method] if interval else [None] * 4
    )
    return [
        result.metric, result.value, result.unit, result.direction, *ends, result.no_interval,
        counts.planned, counts.generated, counts.scored, None,
    ]  # fmt: skip


def _four(column: Measured, entry: Entry) -> list[Field]:
    result = column.results.get(entry.label)
    if result is None:
        return [None] * 4
    if isinstance(result, Failure):
        return [f"failed: {result.reason}", None, None, None]
    interval = result.interval
    return [
        result.value,
        interval.low if interval else None,
        interval.high if interval else None,
        result.counts.scored,
    ]


def _text(lines: Iterable[Sequence[Field]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for line in lines:
        writer.writerow([escape(field) if isinstance(field, str) else field for field in line])
    return stream.getvalue()
