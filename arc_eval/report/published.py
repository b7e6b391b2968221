"""Published tables as data, and our systems laid out in their order with the published value beside ours.

Three blocks of columns that never mix: what was published; the same metric measured here, only
where prompts (and, for speed, the accelerator) are those of the publication; and metrics that
answer the same question with other extractors or on another machine, which are not comparable.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from arc_eval.errors import SuiteError, suggest
from arc_eval.records.basis import base_name, is_timed
from arc_eval.records.measurement import Direction
from arc_eval.report.comparison import Measured, measured_columns, result_cell
from arc_eval.report.numbers import ARROWS
from arc_eval.report.source import Entry
from arc_eval.report.tables import Cell, Column, Row, Table, absent

FOLDER = Path(__file__).parent / "published"

BLANK = Cell("", "absent")
"""Where a row has no counterpart on the other side of the table."""


class _Data(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class PublishedColumn(_Data):
    """A column of a publication. `metric` is the same measurement under our name, if we have one."""

    id: str
    title: str
    metric: str | None = None
    like: tuple[str, ...] = ()
    """Our metrics, by name without extractor, that answer the same question."""
    direction: Direction
    unit: str = ""
    decimals: int
    """As printed: 0.30 is not 0.3."""


class PublishedRow(_Data):
    """A row of a publication, and which of our systems stand in the same place."""

    model: str
    steps: int
    weights: tuple[str, ...]
    certainty: str
    values: tuple[float | Literal["unknown", "none"], ...]

    def matches(self, entry: Entry) -> bool:
        """Whether the system has the row's steps and weights that one of its patterns names."""
        named = any(fnmatchcase(entry.weights, pattern) for pattern in self.weights)
        return named and entry.settings.get("steps") == str(self.steps)


class Publication(_Data):
    """A published table: where it comes from, under which conditions, and its cells."""

    name: str
    title: str
    source: str
    via: str
    conditions: str
    prompts: tuple[str, ...]
    accelerator: str
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    @model_validator(mode="after")
    def _rectangular(self) -> "Publication":
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"{row.model} has {len(row.values)} values for {len(self.columns)} columns")
        return self

    def same_conditions(self, entry: Entry, metric: str) -> bool:
        """Whether the entry's Run had the publication's prompts and, for speed, its accelerator."""
        run = entry.source.run
        prompts = str(run.suite.get("prompts", {}).get("kind")) in self.prompts
        return prompts and (not is_timed(metric) or self.accelerator in run.machine.accelerator)


def publications() -> dict[str, Publication]:
    """Every published table that the package carries, by name."""
    found = (
        Publication.model_validate(yaml.safe_load(path.read_text("utf-8")))
        for path in sorted(FOLDER.glob("*.yaml"))
    )
    return {publication.name: publication for publication in found}


def publication(name: str) -> Publication:
    """One published table. Raises SuiteError with the near miss for an unknown name."""
    known = publications()
    if name not in known:
        raise SuiteError(f"no published table {name!r}; {suggest(name, known)}")
    return known[name]


def beside_published(published: Publication, entries: Sequence[Entry]) -> Table:
    """The publication's rows, each followed by our systems in its place; then our other generators."""
    columns = measured_columns(entries)
    same = [
        (c, m)
        for c in published.columns
        for m in columns
        if m.metric == c.metric and _held(published, entries, m)
    ]
    taken = [measured for _, measured in same]
    like = [m for c in published.columns for m in columns if base_name(m.metric) in c.like and m not in taken]
    rows = list(_rows(published, entries, [measured for _, measured in same], like))
    return Table(
        published.name,
        published.title,
        (
            *(Column(c.title, "Published", ARROWS[c.direction], c.unit) for c in published.columns),
            *(_column(measured, "Measured here, same protocol") for _, measured in same),
            *(
                _column(measured, "Measured here, not comparable with the published values")
                for measured in like
            ),
        ),
        tuple(rows),
        (
            f"Published values: {published.source}. {published.conditions}.",
            f"Read through: {published.via}",
            "? was not found in any source that could be read; - is blank in the source.",
            *(f"{row.model}, {row.steps}: certainty {row.certainty}." for row in published.rows),
        ),
    )


def _rows(
    published: Publication, entries: Sequence[Entry], same: Sequence[Measured], like: Sequence[Measured]
) -> Iterator[Row]:
    placed: set[str] = set()
    for line in published.rows:
        ours = [entry for entry in entries if line.matches(entry) and entry.label not in placed]
        placed |= {entry.label for entry in ours}
        values = tuple(map(_published, line.values, published.columns))
        title = f"{line.model}, {line.steps} {'step' if line.steps == 1 else 'steps'}"
        if not ours:
            yield Row(title, "generator", (*values, *[BLANK] * (len(same) + len(like))))
        for entry in ours:
            yield Row(
                f"{title} ({entry.label})", "generator", (*values, *_ours(published, entry, same, like))
            )
    for entry in entries:
        if entry.label not in placed:
            nothing = [BLANK] * len(published.columns)
            yield Row(entry.label, entry.system.role, (*nothing, *_ours(published, entry, same, like)))


def _ours(
    published: Publication, entry: Entry, same: Sequence[Measured], like: Sequence[Measured]
) -> Iterator[Cell]:
    for measured in same:
        held = published.same_conditions(entry, measured.metric)
        yield result_cell(measured, entry) if held else absent("measured under other conditions")
    for measured in like:
        yield result_cell(measured, entry)


def _held(published: Publication, entries: Sequence[Entry], measured: Measured) -> bool:
    """Whether any system has the metric under the publication's conditions."""
    return any(published.same_conditions(e, measured.metric) for e in entries if e.label in measured.results)


def _published(value: float | str, column: PublishedColumn) -> Cell:
    if isinstance(value, str):
        return Cell("?" if value == "unknown" else "-", "absent")
    return Cell(f"{value:.{column.decimals}f}", sort=value)


def _column(measured: Measured, group: str) -> Column:
    return Column(measured.title, group, ARROWS[measured.direction], measured.scale.unit, measured.note)
