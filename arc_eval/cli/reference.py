"""The command that keeps statistics of recordings for whoever does not have the recordings."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arc_eval.cli import show
from arc_eval.cli.evaluate import Workers, opened, usual_workers
from arc_eval.cli.options import Json, Offline, Quiet, Set, StoreRoot
from arc_eval.cli.progress import shown
from arc_eval.errors import SuiteError

if TYPE_CHECKING:
    from arc_eval.pipeline.adopt import Published
    from arc_eval.summaries import Summaries


class Of(StrEnum):
    """The sets of recordings that a suite has."""

    REFERENCE = "reference"
    RECORDINGS = "recordings"


def reference(
    source: Annotated[
        str,
        typer.Argument(metavar="SUITE|FOLDER", help="A suite, or a folder of recordings with metadata.csv."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .safetensors file to write.")],
    of: Annotated[
        Of, typer.Option("--of", help="Of a suite: its reference, or the recordings of its prompts.")
    ] = Of.REFERENCE,
    extractors: Annotated[
        str | None, typer.Option("--extractors", metavar="NAMES", help="For a FOLDER: which, with commas.")
    ] = None,
    from_npz: Annotated[
        list[str] | None,
        typer.Option(
            "--from-npz",
            metavar="EXTRACTOR=FILE",
            help="Instead: a published mean and covariance (mu_ref, sigma_ref) as that extractor's.",
        ),
    ] = None,
    from_pickle: Annotated[
        list[str] | None,
        typer.Option(
            "--from-pickle",
            metavar="EXTRACTOR=FILE",
            help="Instead: published label probabilities by prompt id; nothing of the pickle is run.",
        ),
    ] = None,
    overrides: Set = None,
    workers: Workers = None,
    store: StoreRoot = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Keep statistics of recordings in one small file that stands for them in a suite.

    `reference: {kind: statistics, path: FILE}` gives Fréchet distances, `recordings: {kind: statistics,
    path: FILE}` label divergences, to whoever does not have the audio.
    """
    from arc_eval.pipeline.adopt import adopted
    from arc_eval.pipeline.summarise import folder_set, summarise
    from arc_eval.suite import load_suite
    from arc_eval.summaries import write_summaries

    folder, names = Path(source), [name.strip() for name in (extractors or "").split(",") if name.strip()]
    suite = (
        folder_set(folder, names, overrides or ()) if folder.is_dir() else load_suite(source, overrides or ())
    )
    if files := published(from_npz or (), from_pickle or ()):
        content = adopted(suite, of.value, files)
    else:
        count = workers or usual_workers(None)
        with shown(quiet) as progress:
            content = summarise(suite, of.value, store=opened(store), workers=count, progress=progress)
    write_summaries(out, content)
    printed(out, content, as_json)


def published(from_npz: Sequence[str], from_pickle: Sequence[str]) -> "list[Published]":
    """The files that others published, read. Raises SuiteError, DataError."""
    from arc_eval.data.published_npz import read_moments
    from arc_eval.data.published_pickle import read_probabilities
    from arc_eval.pipeline.adopt import Published
    from arc_eval.store import file_digest

    found = []
    for option, texts, read in (("npz", from_npz, read_moments), ("pickle", from_pickle, read_probabilities)):
        for text in texts:
            name, equals, file = text.partition("=")
            if not (name and equals and file):
                raise SuiteError(
                    f"--from-{option} {text}: write EXTRACTOR=FILE, the extractor by its name here"
                )
            content = read(Path(file))
            found.append(Published(name, Path(file).name, file_digest(Path(file)), content))
    return found


def printed(out: Path, content: "Summaries", as_json: bool) -> None:
    """What was written, an extractor a line."""
    rows = [
        {
            "extractor": name,
            "recordings": one.moments.clips if one.moments else len(one.labels or ()),
            "rows": one.moments.rows if one.moments else 0,
            "features": len(one.moments.mean) if one.moments else 0,
            "labels": len(one.labels or ()),
        }
        for name, one in content.by_extractor.items()
    ]
    if as_json:
        show.as_json({"file": out, "bytes": out.stat().st_size, "extractors": rows})
        return
    head = ["extractor", "recordings", "rows", "features", "labels"]
    typer.echo(show.columns([head, *([str(row[key]) for key in head] for row in rows)]))
    typer.echo(f"\n{out}: {out.stat().st_size:,} bytes")
