"""The command that makes one clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arc_eval.cli import show
from arc_eval.cli.options import Device, Json, Offline

if TYPE_CHECKING:
    from arc_eval.contracts import Settings


def generate(
    generator: Annotated[
        str,
        typer.Argument(
            metavar="GENERATOR",
            help="tiny/NAME; a folder or file of weights with its model_config.json; hf://OWNER/NAME; "
            "random/NAME (random weights of an official size); or SUITE:NAME.",
        ),
    ],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the clip should sound like.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .wav or .flac file.")],
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, help="Length of the clip.")] = 2.0,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed gives the same clip.")
    ] = 0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Denoising steps.")] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            "--sampler",
            help="pingpong, euler or dpmpp-2m; dpmpp-3m-sde, dpmpp-2m-sde or ddim for v-objective models.",
        ),
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", help="Scale of classifier-free guidance.")
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option("--negative-prompt", help="What guidance should lead away from.")
    ] = None,
    init_audio: Annotated[
        Path | None,
        typer.Option("--init-audio", metavar="FILE", help="Style transfer: begin with this clip."),
    ] = None,
    init_level: Annotated[
        float | None,
        typer.Option("--init-level", min=0, max=1, help="Noise put on it: 0 keeps it, 1 ignores it."),
    ] = None,
    device: Device = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change any other setting, such as apg=1."),
    ] = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Turn one prompt into one audio file."""
    from arc_eval.contracts import Recorded
    from arc_eval.dsp import write_audio
    from arc_eval.errors import SuiteError
    from arc_eval.records.prompt import Prompt
    from arc_eval.targets.local import usable_device

    options = {
        "steps": steps,
        "sampler": sampler,
        "guidance": guidance,
        "negative_prompt": negative_prompt,
        "init_audio": init_audio,
        "init_level": init_level,
        "device": device,
    }
    given = {key: value for key, value in options.items() if value is not None}
    settings = generator_settings(generator, given, overrides or ())
    if (named := getattr(settings, "device", None)) is not None:
        usable_device(str(named))
    made = settings.build()
    if isinstance(made, Recorded):
        raise SuiteError(
            f"{generator}: holds clips that exist already, it makes none; name one that generates, "
            "or judge its clips with `arc-eval run`"
        )
    audio = made.generate([Prompt("prompt", prompt, seconds)], [seed])
    write_audio(out, next(iter(audio)), audio.sample_rate)
    if as_json:
        show.as_json({"file": str(out), "sample_rate": audio.sample_rate, "identity": dict(made.identity())})
    else:
        typer.echo(str(out))


USUAL: Mapping[str, Mapping[str, Any]] = {
    "rf_denoiser": {"sampler": "pingpong", "steps": 8},
    "rectified_flow": {"sampler": "euler", "steps": 50, "guidance": 4.0},
    "v": {"sampler": "dpmpp-3m-sde", "steps": 100, "guidance": 7.0},
}
"""How models of an objective are sampled when nothing is said: their weights alone do not tell."""


def generator_settings(name: str, options: Mapping[str, Any], overrides: Sequence[str] = ()) -> "Settings":
    """The settings that a GENERATOR argument, its options and `KEY=VALUE` overrides describe.

    Raises SuiteError if a suite has no such generator or an option does not fit its kind,
    CheckpointError if there are no such weights.
    """
    from arc_eval import registry
    from arc_eval.suite import apply_override

    data = {**_known(name), **options}
    for override in overrides:
        apply_override(data, override)
    return registry.settings("generators", data, name)


def _known(name: str) -> dict[str, Any]:
    """What a suite says of the generator, or what is usual for weights of this objective."""
    from arc_eval.errors import SuiteError, suggest
    from arc_eval.models.config import load_config
    from arc_eval.models.files import model_files
    from arc_eval.suite import load_suite

    suite, _, entry = name.rpartition(":")
    if _names_weights(name):
        objective = load_config(model_files(name).config).model.diffusion.diffusion_objective
        return {"kind": "latent", "weights": name, **USUAL[objective]}
    generators = load_suite(suite).generators
    if entry not in generators:
        raise SuiteError(f"{suite}: no generator {entry!r}; {suggest(entry, generators)}")
    return generators[entry].data()


def _names_weights(name: str) -> bool:
    """Whether a GENERATOR is not SUITE:NAME. Files may have a colon in their names, and `hf:` has its own."""
    path = name.removeprefix("random/")
    return ":" not in name or name.startswith("hf:") or Path(name).exists() or Path(path).exists()
