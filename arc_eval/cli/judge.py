"""The commands that read Runs and nothing else: report, compare, gate."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arc_eval.cli import results, show
from arc_eval.cli.options import Json
from arc_eval.escape import console, one_line

if TYPE_CHECKING:
    from arc_eval.gate.verdicts import Verdict


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, in the table's order.")],
    formats: Annotated[str, typer.Option("--format", help="Which of these.")] = "html,md,csv,tex",
    table: Annotated[str | None, typer.Option("--table", help="A published table to set beside.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: the first RUN.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of one Run, or of several side by side."""
    from arc_eval.report import write

    names = [name.strip() for name in formats.split(",")]
    written = write(runs, formats=names, table=table, out=out)
    show.as_json(written) if as_json else typer.echo("\n".join(map(str, written)))


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B")],
    equalise: Annotated[
        bool, typer.Option("--equalise", help="State FDs of unequal numbers of clips as at the smaller.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Paired differences, B minus A, with intervals; exit 4 if the two were measured differently."""
    from arc_eval.gate.comparison import compare as paired

    found = paired(run_a, run_b, equalise=equalise)
    show.as_json(found) if as_json else typer.echo(console(results.comparison_text(found)))


def gate(
    run: Annotated[Path, typer.Argument(metavar="RUN")],
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="RUN", help="To hold it against.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Default: the `gates` of the RUN's suite.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write the verdicts as JUnit XML.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge a Run by rules; the exit code is that of the worst verdict.

    On GitHub Actions the verdicts also become annotations and the step's summary.
    """
    from arc_eval.gate.junit import write_junit
    from arc_eval.gate.rules import load_rules
    from arc_eval.gate.verdicts import exit_code, judge, worst_first

    verdicts = judge(run, baseline, load_rules(rules) if rules else None)
    code = exit_code(verdicts)
    if junit:
        write_junit(verdicts, junit)
    if as_json:
        show.as_json({"exit_code": code, "verdicts": verdicts})
    elif verdicts:
        sentences = (f"{verdict.outcome}: {one_line(verdict.sentence)}" for verdict in worst_first(verdicts))
        typer.echo(console("\n".join(sentences)))
    else:
        typer.echo("nothing was judged: the suite has no `gates`; give --rules FILE", err=True)
    on_github(verdicts)
    raise typer.Exit(code)


def claims(
    run: Annotated[Path, typer.Argument(metavar="RUN")],
    claimed: Annotated[
        str, typer.Option("--claims", metavar="NAME|FILE", help="What is claimed; shipped: paper.")
    ] = "paper",
    markdown: Annotated[bool, typer.Option("--markdown", help="As a table for a page.")] = False,
    as_json: Json = False,
) -> None:
    """Judge what a paper claims by a Run: differences, intervals and p-values over training seeds.

    Exit 3 if a claim could not be measured. A claim that does not hold is a finding, not an error.
    """
    from arc_eval.gate.claims import judge_claims, load_claims
    from arc_eval.gate.comparison import Side

    findings = judge_claims(Side.read(run), load_claims(claimed))
    if as_json:
        show.as_json(findings)
    else:
        typer.echo(results.claims_markdown(findings) if markdown else console(results.claims_text(findings)))
    raise typer.Exit(3 if any(found.outcome == "not measured" for found in findings) else 0)


def on_github(verdicts: "Sequence[Verdict]") -> None:
    """Tells GitHub Actions, if that is where the command runs."""
    from arc_eval.gate.github import annotations, summary

    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo("\n".join(annotations(verdicts)), err=True)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(summary(verdicts))
