"""The options that several commands share, with one wording each."""

from pathlib import Path
from typing import Annotated

import typer


def _stay_offline(wanted: bool) -> bool:
    if wanted:
        from arc_eval.models.offline import go_offline

        go_offline()
    return wanted


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress: nothing but the result.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value, such as generators.arc-8.steps=6."),
]
SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="A suite file, or the name of one in the folder suites/.")
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", help="Where the networks run: cpu, cuda, cuda:1, mps. Default: where the suite says."
    ),
]
StoreRoot = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Where finished work is kept for the next run. Default: $ARC_EVAL_CACHE, or ~/.cache/arc_eval.",
    ),
]
RunFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The Run folder to write. Default: runs/NAME.")
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        callback=_stay_offline,
        help="Never dial out: official weights come from the cache alone.",
    ),
]
