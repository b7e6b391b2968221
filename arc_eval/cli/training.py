"""The command that trains a model."""

from pathlib import Path
from typing import Annotated

import typer

from arc_eval.cli import show
from arc_eval.cli.options import Json, Quiet, Set
from arc_eval.cli.progress import shown


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped one.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Log, checkpoint and the trained model.")],
    overrides: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    device: Annotated[
        str, typer.Option("--device", help="Where the networks train: cpu, cuda, cuda:1, mps.")
    ] = "cpu",
    shards: Annotated[
        int,
        typer.Option(
            "--shards", min=1, help="Processes that share one copy of the networks (FSDP); 1: each has one."
        ),
    ] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe and write it with a manifest of how it was made.

    Started by torchrun, its processes share the work: `torchrun --nproc-per-node 8 --no-python arc-eval
    train RECIPE --out DIR --device cuda`.
    """
    from arc_eval.training.loop import train as follow
    from arc_eval.training.place import working_place
    from arc_eval.training.recipe import load_recipe

    chosen = load_recipe(recipe, overrides or ())
    with working_place(device, shards) as place:
        with shown(quiet or not place.leads) as progress:
            model = follow(chosen, out, resume=resume, progress=progress, place=place)
        if place.leads:
            show.as_json({"model": str(model)}) if as_json else typer.echo(str(model))
