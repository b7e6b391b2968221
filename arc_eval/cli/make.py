"""The commands that make something: generate a clip, train a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arc_eval.cli import show
from arc_eval.cli.options import Json, Quiet, Set
from arc_eval.cli.progress import shown

if TYPE_CHECKING:
    from arc_eval.contracts import Settings


def generate(
    generator: Annotated[
        str,
        typer.Argument(
            metavar="GENERATOR", help="tiny/NAME, a folder with model_config.json, or SUITE:NAME."
        ),
    ],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the clip should sound like.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .wav or .flac file.")],
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, help="Length of the clip.")] = 2.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same clip.")] = 0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Denoising steps.")] = None,
    sampler: Annotated[str | None, typer.Option("--sampler", help="pingpong, euler or dpmpp-2m.")] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", help="Scale of classifier-free guidance.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn one prompt into one audio file."""
    from arc_eval.dsp import write_audio
    from arc_eval.records.prompt import Prompt

    options = {"steps": steps, "sampler": sampler, "guidance": guidance}
    settings = generator_settings(
        generator, {key: value for key, value in options.items() if value is not None}
    )
    made = settings.build()
    audio = made.generate([Prompt("prompt", prompt, seconds)], [seed])
    write_audio(out, next(iter(audio)), audio.sample_rate)
    if as_json:
        show.as_json({"file": str(out), "sample_rate": audio.sample_rate, "identity": dict(made.identity())})
    else:
        typer.echo(str(out))


FEW_STEPS = {"sampler": "pingpong", "steps": 8}
MANY_STEPS = {"sampler": "euler", "steps": 50, "guidance": 3.0}


def generator_settings(name: str, options: Mapping[str, object]) -> "Settings":
    """The settings that a GENERATOR argument and its options describe.

    Weights alone do not say how to sample them: post-trained ones (`rf_denoiser`) get a few
    ping-pong steps, others many guided Euler steps. Raises SuiteError if a suite has no such
    generator or an option does not fit its kind, CheckpointError if there are no such weights.
    """
    from arc_eval import registry
    from arc_eval.errors import SuiteError, suggest
    from arc_eval.models.config import load_config
    from arc_eval.models.weights import CONFIG, model_folder
    from arc_eval.suite import load_suite

    suite, colon, entry = name.rpartition(":")
    if not colon:
        diffusion = load_config(model_folder(name) / CONFIG).model.diffusion
        usual = FEW_STEPS if diffusion.diffusion_objective == "rf_denoiser" else MANY_STEPS
        return registry.settings("generators", {"kind": "latent", "weights": name, **usual, **options}, name)
    known = load_suite(suite).generators
    if entry not in known:
        raise SuiteError(f"{suite}: no generator {entry!r}; {suggest(entry, known)}")
    return registry.settings("generators", {**known[entry].data(), **options}, name)


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped one.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Log, checkpoint and the trained model.")],
    overrides: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe and write it with a manifest of how it was made."""
    from arc_eval.training.loop import train as follow
    from arc_eval.training.recipe import load_recipe

    chosen = load_recipe(recipe, overrides or ())
    with shown(quiet) as progress:
        model = follow(chosen, out, resume=resume, progress=progress)
    show.as_json({"model": str(model)}) if as_json else typer.echo(str(model))
