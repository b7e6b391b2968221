"""The commands about official weights: what there is, where it lies here, whether it is whole; and export."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arc_eval.cli import show
from arc_eval.cli.options import Json, Offline
from arc_eval.errors import CheckpointError, IncompleteError

if TYPE_CHECKING:
    from arc_eval.models.artefacts import Artefact
    from arc_eval.models.integrity import Checked

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Official checkpoints and encoders: list, fetch, verify, export.",
)

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Which; see `arc-eval weights list`.")]


@app.command("list")
def listed(as_json: Json = False) -> None:
    """List every official artefact: licence, size, and where it is cached. Never dials out."""
    from arc_eval.models.artefacts import catalogue
    from arc_eval.models.release import release_cache

    if as_json:
        show.as_json([described(name, artefact) for name, artefact in catalogue().items()])
        return
    head = ["id", "gated", "size", "here", "licence", "what"]
    rows = [
        [name, "yes" if each.gated else "no", size(each), here(each), each.licence.name, each.what]
        for name, each in catalogue().items()
    ]
    typer.echo(show.columns([head, *rows]))
    typer.echo(
        f"\ncache: {cache()}\nand, for what lies outside the hub: {release_cache()}"
        "\nA gated one asks for its licence to be accepted on its page, see --json."
    )


def described(name: str, artefact: "Artefact") -> dict[str, Any]:
    """Everything that the catalogue and the cache know of an artefact."""
    from arc_eval.models.artefact_files import cached, complete

    files = cached(artefact)
    return {
        "id": name,
        "page": artefact.page,
        **artefact.model_dump(mode="json"),
        "cached": complete(files),
        "places": files,
    }


def here(artefact: "Artefact") -> str:
    """How much of an artefact is cached."""
    from arc_eval.models.artefact_files import cached, complete

    files = cached(artefact)
    found = sum(path is not None for path in files.values())
    return "yes" if complete(files) else f"{found} of {len(files)} files" if found else "no"


def size(artefact: "Artefact") -> str:
    """The bytes to download, as far as the catalogue knows them."""
    needed = [file.bytes for file in artefact.files if not file.optional]
    known = sum(filter(None, needed))
    if not known or known < 10**6:
        return "unknown"
    partly = artefact.patterns or None in needed
    return f"{known / 1e9:.2f} GB" + (" and more" if partly else "")


def place(artefact: "Artefact") -> str:
    """The folder of the cache that an artefact's files lie in."""
    from arc_eval.models.release import release_cache

    return str(release_cache()) if artefact.release else cache()


def cache() -> str:
    """The folder that the Hugging Face cache lies in."""
    from arc_eval.models.hub_errors import cache_folder

    return cache_folder()


@app.command()
def fetch(ids: Ids, offline: Offline = False, as_json: Json = False) -> None:
    """Download artefacts into the cache, and check them."""
    from arc_eval.models.artefact_files import checked
    from arc_eval.models.artefact_files import fetch as download
    from arc_eval.models.artefacts import artefact

    found = {}
    for name, wanted in [(name, artefact(name)) for name in ids]:
        files = download(wanted)
        found[name] = {file: checked(wanted, file, path) for file, path in files.items()}
    printed(found, as_json)
    for other in dict.fromkeys(other for name in ids for other in artefact(name).needs):
        if other not in ids and here(artefact(other)) != "yes":
            typer.echo(f"also needed, and not here: arc-eval weights fetch {other}", err=True)


@app.command()
def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Which; without one, all that is cached.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check cached files whole: size, digest and safetensors header. Never dials out."""
    from arc_eval.models.artefact_files import cached, checked
    from arc_eval.models.artefacts import artefact, catalogue

    found = {}
    for name in ids or catalogue():
        wanted = artefact(name)
        files = cached(wanted)
        missing = [file for file, path in files.items() if path is None]
        if ids and (missing or not files):
            raise CheckpointError(
                f"{name}: not in the cache {place(wanted)}: {', '.join(missing) or wanted.repo}; "
                f"fetch it with: arc-eval weights fetch {name}"
            )
        found[name] = {file: checked(wanted, file, path) for file, path in files.items() if path}
    if not any(found.values()):
        raise IncompleteError(f"nothing of the catalogue lies in the cache {cache()}: nothing was checked")
    printed(found, as_json)


def printed(found: Mapping[str, Mapping[str, "Checked"]], as_json: bool) -> None:
    """Prints what each file turned out to be. Raises CheckpointError if one is damaged."""
    if as_json:
        show.as_json(found)
    else:
        rows = [[name, file, verdict(seen)] for name, files in found.items() for file, seen in files.items()]
        typer.echo(show.columns([["id", "file", "content"], *rows]))
    damaged = [(name, seen) for name, files in found.items() for seen in files.values() if seen.problem]
    if damaged:
        raise CheckpointError("\n".join(remedy(name, seen) for name, seen in damaged))


def remedy(name: str, seen: "Checked") -> str:
    """What to do about a damaged file. The link in the cache may stay, what it leads to must go."""
    return f"{seen.path}: {seen.problem}\n  rm {seen.path.resolve()} && arc-eval weights fetch {name}"


def verdict(seen: "Checked") -> str:
    """One file's state, in words."""
    if seen.problem:
        return f"DAMAGED: {seen.problem}"
    known = {
        "catalogue": "as in the catalogue",
        "hub": "as the hub announced it",
        "nothing": f"present, digest unknown: {seen.sha256}",
    }
    return f"{known[seen.against]}, {seen.bytes:,} bytes"


class Precision(StrEnum):
    """The types that weights can be stored in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@app.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="tiny/NAME, a folder, a file, or hf://...")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.")],
    dtype: Annotated[
        Precision | None, typer.Option("--dtype", help="Precision on disk. Default: as it is stored.")
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option("--ema/--no-ema", help="Of a training checkpoint, the averaged or the live weights."),
    ] = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Write a model in the official layout: model_config.json and model.safetensors."""
    import torch

    from arc_eval.models.export import export_model

    export_model(model, out, ema=ema, dtype=getattr(torch, dtype) if dtype else None)
    show.as_json({"model": str(out)}) if as_json else typer.echo(str(out))
