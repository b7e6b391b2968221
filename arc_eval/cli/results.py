"""A Run, or the difference of two, in a few lines. The intervals of a Run are in its report."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from arc_eval.cli.show import columns, number, table
from arc_eval.escape import markdown, one_line

if TYPE_CHECKING:
    from arc_eval.gate.claims import Finding
    from arc_eval.gate.comparison import Comparison, Difference
    from arc_eval.records.run import Run
    from arc_eval.report.source import Source
    from arc_eval.report.tables import Table


def run_text(source: "Source") -> str:
    """The main columns of the report's table, without intervals; what they rest on; what failed and why."""
    from arc_eval.report.comparison import comparison, remarks
    from arc_eval.report.source import entries

    systems = entries([source])
    shown = _main_columns(comparison(systems))
    head = ["system", *(column.heading for column in shown.columns)]
    rows = [[row.title, *(cell.text for cell in row.cells)] for row in shown.rows]
    notes = [*shown.denominators(), *remarks(systems), *failures(source.run)]
    return "\n".join([table(head, rows), "", *map(one_line, notes)])


def _main_columns(whole: "Table") -> "Table":
    """Without signal health and the times of single stages, unless there is nothing else."""
    chosen = [
        place
        for place, column in enumerate(whole.columns)
        if column.group != "Signal" and not column.title.startswith("stage_")
    ] or range(len(whole.columns))
    return replace(
        whole,
        columns=tuple(whole.columns[place] for place in chosen),
        rows=tuple(replace(row, cells=tuple(row.cells[place] for place in chosen)) for row in whole.rows),
    )


def failures(run: "Run") -> Iterator[str]:
    """A line for everything in a Run that was planned and did not come to be."""
    from arc_eval.records.measurement import Failure

    for system in run.systems:
        for result in system.results:
            if isinstance(result, Failure):
                yield f"failed: {system.name}: {result.metric}: {result.reason}"
    yield from (f"{stage}: {state}" for stage, state in run.stages.items() if state != "done")


def complete(run: "Run") -> bool:
    """Whether something was measured and nothing failed."""
    return any(system.results for system in run.systems) and not any(failures(run))


def comparison_text(found: "Comparison") -> str:
    """One line for each difference B - A; then what could not be compared and why."""
    head = ["system", "metric", found.a, found.b, "B - A", "interval", "pairing", "better"]
    notes = [f"not compared: {skip.system}: {skip.metric}: {skip.reason}" for skip in found.skipped]
    notes += [f"equalised: {item.system}: {item.note}" for item in found.differences if item.note]
    notes += [f"only in {found.a}: {name}" for name in found.only_in_a]
    notes += [f"only in {found.b}: {name}" for name in found.only_in_b]
    rows = [_difference(item, found) for item in found.differences]
    return "\n".join([columns([head, *rows]), *map(one_line, notes)])


def _pairing(item: "Difference") -> str:
    method = item.interval.method if item.interval else ""
    units = "groups" if method.endswith("groups of prompts") else method.rpartition(" ")[2] or "prompts"
    return f"paired, {item.prompts} {units}" if item.prompts else "unpaired"


def _difference(item: "Difference", found: "Comparison") -> list[str]:
    interval = item.interval
    better = {"a": found.a, "b": found.b, None: "cannot tell" if interval else "-"}
    return [
        item.system,
        item.metric,
        number(item.a.value),
        number(item.b.value),
        f"{item.value:+.4g} {item.unit}".rstrip(),
        f"[{interval.low:+.4g}, {interval.high:+.4g}]" if interval else f"none: {item.no_interval}",
        _pairing(item),
        better[item.favours],
    ]


CLAIM_HEAD = ("claim", "metric", "of", "than", "in its favour", "95 % interval", "p", "trainings", "outcome")


def claims_text(findings: "Sequence[Finding]") -> str:
    """One line for each claim; then why some could not be measured, and what the intervals rest on."""
    notes = [f"not measured: {found.claim}: {found.reason}" for found in findings if found.reason]
    table = columns([CLAIM_HEAD, *map(_finding, findings)])
    return "\n".join([table, "", *map(one_line, [*notes, *_remarks(findings)])]).rstrip()


def claims_markdown(findings: "Sequence[Finding]") -> str:
    """The same as a table for a page."""
    rows = [CLAIM_HEAD, ["---"] * len(CLAIM_HEAD), *([*map(markdown, _finding(f))] for f in findings)]
    notes = [f"{found.claim}: {found.reason}" for found in findings if found.reason]
    lines = [f"- {markdown(note)}" for note in [*notes, *_remarks(findings)]]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), *([""] if lines else []), *lines])


def _remarks(findings: "Sequence[Finding]") -> Iterator[str]:
    """What the intervals rest on, each remark once; then how they are to be read."""
    for remark in dict.fromkeys(remark for found in findings for remark in found.remarks):
        yield f"{remark} ({'; '.join(found.claim for found in findings if remark in found.remarks)})"
    if any(found.p is not None for found in findings):
        yield (
            "In its favour: the difference `of` - `than`, margin included, positive where it supports the "
            "claim. p is one-sided. Each claim is judged by itself: nothing corrects for their number."
        )


def _finding(found: "Finding") -> list[str]:
    if found.of is None or found.than is None or found.effect is None or found.p is None:
        return [found.claim, found.metric, *[""] * 6, found.outcome]
    interval = found.interval
    return [
        found.claim,
        found.metric,
        number(found.of),
        number(found.than),
        f"{found.effect:+.4g}",
        f"[{interval.low:+.4g}, {interval.high:+.4g}]" if interval else "",
        "< 0.0001" if found.p < 0.0001 else f"{found.p:.4f}",
        " and ".join(map(str, found.seeds)),
        found.outcome,
    ]
