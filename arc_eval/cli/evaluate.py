"""The commands that measure: run, score, bench; and check, which only reads and plans."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arc_eval.cli import results, show
from arc_eval.cli.options import Device, Json, Offline, Quiet, RunFolder, Set, StoreRoot, SuiteName
from arc_eval.cli.progress import shown
from arc_eval.errors import IncompleteError
from arc_eval.escape import console

if TYPE_CHECKING:
    from arc_eval.store import Store

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes that generate side by side; one for each core, or one for an accelerator.",
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N prompts.")]


def run(
    suite: SuiteName,
    overrides: Set = None,
    out: RunFolder = None,
    device: Device = None,
    workers: Workers = None,
    limit: Limit = None,
    store: StoreRoot = None,
    offline: Offline = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and run nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate every generator of a suite and write one Run folder with its report."""
    from arc_eval.cli.plan import plan
    from arc_eval.pipeline.run import run as evaluate
    from arc_eval.suite import load_suite

    chosen = load_suite(suite, overrides or ())
    if dry_run:
        plan(chosen, limit, device).show(as_json)
        return
    folder = out or Path("runs") / chosen.name
    with shown(quiet) as progress:
        evaluate(
            chosen,
            folder,
            store=opened(store),
            device=device,
            workers=workers or usual_workers(device),
            limit=limit,
            command=command(),
            progress=progress,
        )
    finish(folder, as_json)


def usual_workers(device: str | None) -> int:
    """Processes that keep a machine busy: its cores, or the one accelerator that was asked for."""
    from arc_eval.targets.local import available_cores

    return available_cores() if device in (None, "cpu") else 1


def check(suite: SuiteName, overrides: Set = None, limit: Limit = None, as_json: Json = False) -> None:
    """Read a suite, resolve every name in it, print it and what it would do; run nothing."""
    from arc_eval.cli.plan import plan
    from arc_eval.suite import load_suite

    plan(load_suite(suite, overrides or ()), limit).show(as_json)


def score(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of audio files.")],
    prompts: Annotated[
        Path, typer.Option("--prompts", metavar="CSV", help="Which file answers which caption.")
    ],
    reference: Annotated[
        Path,
        typer.Option(
            "--reference",
            metavar="FOLDER|FILE",
            help="Real recordings to judge by, or a file that `arc-eval reference` kept of them.",
        ),
    ],
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", metavar="NAME", help="Only these; see `list metrics`.")
    ] = None,
    protocols: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME", help="Measure as others do; see `list protocols`."),
    ] = None,
    overrides: Set = None,
    out: RunFolder = None,
    store: StoreRoot = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge any folder of audio; no generator is needed."""
    from arc_eval.pipeline.score import score_folder

    names = [name for given in metrics or () for name in given.split(",") if name]
    target = out or Path("runs") / f"score-{folder.resolve().name}"
    with shown(quiet) as progress:
        score_folder(
            folder,
            prompts,
            reference,
            target,
            metrics=names,
            protocols=protocols or (),
            overrides=overrides or (),
            store=opened(store),
            command=command(),
            progress=progress,
        )
    finish(target, as_json)


def bench(
    suite: SuiteName,
    overrides: Set = None,
    out: RunFolder = None,
    device: Device = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure only the speed of a suite's generators. Nothing timed is ever taken from the store."""
    from arc_eval.pipeline.bench import bench as time_generators
    from arc_eval.suite import load_suite

    chosen = load_suite(suite, overrides or ())
    folder = out or Path("runs") / f"{chosen.name}-bench"
    with shown(quiet) as progress:
        time_generators(chosen, folder, device=device, command=command(), progress=progress)
    finish(folder, as_json)


def opened(root: Path | None) -> "Store":
    """The store that a command reads and fills."""
    from arc_eval.store import Store, default_root

    return Store(root or default_root())


def command() -> tuple[str, ...]:
    """What was typed, for the Run's provenance."""
    return ("arc-eval", *sys.argv[1:])


def finish(folder: Path, as_json: bool) -> None:
    """Writes the reports into the Run folder and prints the results and where they are.

    Raises IncompleteError if nothing was measured or a part failed: the exit code must say so.
    """
    from arc_eval.report import write
    from arc_eval.report.source import read_sources

    written = write([folder])
    page = next((path for path in written if path.suffix == ".html"), folder)
    (source,) = read_sources([folder])
    if as_json:
        show.as_json({"folder": folder, "report": page, "run": source.run})
    else:
        typer.echo(console(results.run_text(source)))
        typer.echo(f"\nreport: {page}")
    if not results.complete(source.run):
        raise IncompleteError(f"{folder}: the Run is incomplete; the lines marked `failed` above say why")
