"""Writes a report of one Run, or of several side by side, in the formats asked for.

The files hold nothing of when or where they were written: the same Runs give the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arc_eval.errors import RunError, SuiteError, suggest
from arc_eval.escape import markdown as escape
from arc_eval.report import csv, html, latex, markdown, plots
from arc_eval.report.comparison import comparison, measured_columns
from arc_eval.report.published import beside_published, publication
from arc_eval.report.source import Entry, entries, read_sources
from arc_eval.report.summary import sentences
from arc_eval.report.tables import Table


@dataclass(frozen=True)
class Report:
    """What is reported: every system, and the published table asked for, if any."""

    entries: tuple[Entry, ...]
    extra: tuple[Table, ...]


Files = Iterator[tuple[str, str]]
"""Path within the report's folder, and text."""


def write(
    runs: Sequence[Path],
    *,
    formats: Sequence[str] = ("html", "md", "csv", "tex"),
    table: str | None = None,
    out: Path | None = None,
) -> list[Path]:
    """Writes the report into `out`, by default into the first Run folder; the files written, in order.

    `table` adds a published table, such as `paper_table1`, with our systems in its places. Raises
    RunError for a folder that is not a Run or cannot be written, SuiteError for an unknown format or
    table.
    """
    for name in formats:
        if name not in FORMATS:
            raise SuiteError(f"no report format {name!r}; {suggest(name, FORMATS)}")
    found = entries(read_sources([Path(run) for run in runs]))
    extra = () if table is None else (beside_published(publication(table), found),)
    report = Report(found, extra)
    folder = Path(runs[0]) if out is None else out
    return [
        _written(folder / path, text)
        for name in dict.fromkeys(formats)
        for path, text in FORMATS[name](report)
    ]


def _html(report: Report) -> Files:
    yield "report.html", html.page(report.entries, report.extra)


def _markdown(report: Report) -> Files:
    columns = measured_columns(report.entries)
    findings = "\n".join(f"- {escape(s.text)}" for s in sentences(report.entries, columns))
    pictures = dict(_pictures(report))
    shown = "\n\n".join(f"![{title}]({path})" for path, (title, _) in pictures.items())
    tables = [markdown.table(content) for content in (comparison(report.entries), *report.extra)]
    name = str(report.entries[0].source.run.suite.get("name", "Report")) if report.entries else "Report"
    parts = [f"# {escape(name)}", findings, *tables, shown]
    yield "report.md", "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
    yield from ((path, drawn) for path, (_, drawn) in pictures.items())


def _pictures(report: Report) -> Iterator[tuple[str, tuple[str, str]]]:
    """Path to title and SVG of the plots that Markdown shows."""
    columns = measured_columns(report.entries)
    latency = plots.latency_column(columns)
    for quality in plots.quality_columns(columns)[:1]:
        spec = plots.quality_against_latency(report.entries, quality, latency) if latency else None
        if spec:
            yield "plots/quality_against_latency.svg", ("Quality against latency", plots.svg(spec))
    stages = plots.stage_times(report.entries)
    if stages:
        yield "plots/stage_times.svg", ("Where the time goes", plots.svg(stages))


def _csv(report: Report) -> Files:
    yield "tables/results.csv", csv.long(report.entries)
    yield "tables/comparison.csv", csv.wide(report.entries)
    yield from ((f"tables/{content.name}.csv", csv.plain(content)) for content in report.extra)


def _latex(report: Report) -> Files:
    for content in (comparison(report.entries), *report.extra):
        yield f"tables/{content.name}.tex", latex.table(content)


FORMATS: Mapping[str, Callable[[Report], Files]] = {
    "html": _html,
    "md": _markdown,
    "csv": _csv,
    "tex": _latex,
}


def _written(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror}; choose another folder with --out"
        ) from error
    return path
