"""The model behind every table: rows are systems, columns are metrics, cells are text that is ready to set.

A cell never holds a stand-in: it is a value, `failed` with a reason, or `n/a` with a reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from arc_eval.records.run import Role

State = Literal["value", "failed", "absent"]


@dataclass(frozen=True)
class Cell:
    """`text` with its interval; `sort` orders a column.

    counts: clips (or trials) scored/generated/planned. note: how the interval was had, why there is
    no interval, or why there is no value.
    """

    text: str
    state: State = "value"
    interval: str = ""
    counts: str = ""
    note: str = ""
    sort: float | None = None
    best: bool = False

    @property
    def full(self) -> str:
        """One line: value with interval, `failed: reason`, or `n/a (reason)`."""
        if self.state == "failed":
            return f"failed: {self.note}"
        if self.state == "absent":
            return f"{self.text} ({self.note})" if self.note else self.text
        return f"{self.text} {self.interval}".rstrip()


def failed(reason: str) -> Cell:
    """The cell of a number that could not be had."""
    return Cell("failed", "failed", note=reason)


def absent(reason: str) -> Cell:
    """The cell of a number that nobody tried to measure."""
    return Cell("n/a", "absent", note=reason)


@dataclass(frozen=True)
class Column:
    """A metric: its name, the arrow of its better direction, the unit shown, the group it stands in."""

    title: str
    group: str
    arrow: str = ""
    unit: str = ""
    note: str = ""

    @property
    def heading(self) -> str:
        """Name, arrow and unit in one line."""
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(filter(None, (self.title, self.arrow, unit)))


@dataclass(frozen=True)
class Row:
    """A system and its cells, one for each column."""

    title: str
    role: Role
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """`name` is a file name; `notes` are sentences below the table."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one group: its name and how many there are."""
        return [(group, len(list(columns))) for group, columns in groupby(self.columns, lambda c: c.group)]

    def counts(self, index: int) -> str:
        """The counts that every value of a column rests on; nothing if they differ."""
        found = {row.cells[index].counts for row in self.rows if row.cells[index].state == "value"}
        return found.pop() if len(found) == 1 else ""

    def blocks(self) -> Iterator["Table"]:
        """One table for each group of columns, for pages that are not wide."""
        start = 0
        for group, count in self.groups():
            end = start + count
            rows = tuple(Row(row.title, row.role, row.cells[start:end]) for row in self.rows)
            block = Table(self.name, f"{self.title}: {group}", self.columns[start:end], rows, self.notes)
            yield replace(block, notes=(*block.denominators(), *self.notes))
            start = end

    def denominators(self) -> Iterator[str]:
        """What the cells rest on: counts, and why an interval is missing. One sentence where all agree."""
        if counts := list(self._places(lambda cell: cell.counts)):
            yield f"Scored/generated/planned: {_agreed(counts)}."
        if bare := list(self._places(lambda cell: "" if cell.interval else cell.note)):
            yield f"No interval: {_agreed(bare)}."

    def _places(self, text: Callable[[Cell], str]) -> Iterator[tuple[str, str]]:
        """Where each text stands: a column where all its cells agree, otherwise row and column."""
        for index, column in enumerate(self.columns):
            cells = [(row.title, row.cells[index]) for row in self.rows if row.cells[index].state == "value"]
            found = [(title, text(cell)) for title, cell in cells if text(cell)]
            if len({said for _, said in found}) == 1:
                yield column.title, found[0][1]
            else:
                yield from ((f"{title} {column.title}", said) for title, said in found)


def _agreed(found: Sequence[tuple[str, str]]) -> str:
    """The commonest text, and the places where it is another: `240/240/240; 239/239/240 (arc-1 fd)`."""
    places: dict[str, list[str]] = {}
    for place, text in found:
        places.setdefault(text, []).append(place)
    ordered = sorted(places, key=lambda text: -len(places[text]))
    rest = [f"{text} ({_some(places[text])})" for text in ordered[1:]]
    return "; ".join([ordered[0], *rest])


def _some(places: Sequence[str], shown: int = 6) -> str:
    more = f" and {len(places) - shown} more" if len(places) > shown else ""
    return ", ".join(places[:shown]) + more
