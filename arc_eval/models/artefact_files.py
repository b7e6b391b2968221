"""The catalogue's artefacts on this machine: found in the cache, fetched, checked."""

from collections.abc import Mapping
from pathlib import Path

from arc_eval.errors import CheckpointError
from arc_eval.models.artefacts import Artefact
from arc_eval.models.hub import cached_file, cached_folder, hub_file, hub_folder
from arc_eval.models.integrity import Checked, check
from arc_eval.models.release import cached_release, released


def fetch(artefact: Artefact) -> Mapping[str, Path]:
    """Its files by name, downloaded where the cache lacks them.

    Raises CheckpointError like `hub_file` and `released`.
    """
    if artefact.patterns:
        return _matching(hub_folder(artefact.repo, artefact.patterns, artefact.revision), artefact)
    needed = [file.name for file in artefact.files if not file.optional]
    if artefact.release:
        return {name: released(artefact.release, artefact.file(name)) for name in needed}
    return {name: hub_file(artefact.repo, name, artefact.revision) for name in needed}


def cached(artefact: Artefact) -> Mapping[str, Path | None]:
    """Its files by name with their places in the cache, None for a missing one. Never dials out.

    What a folder lacks is only known once it was fetched; before, the mapping is empty.
    """
    if artefact.patterns:
        folder = cached_folder(artefact.repo, artefact.patterns, artefact.revision)
        return _matching(folder, artefact) if folder else {}
    found = {file.name: _cached(artefact, file.name) for file in artefact.files}
    return {
        name: path for name, path in found.items() if path is not None or not artefact.file(name).optional
    }


def complete(files: Mapping[str, Path | None]) -> bool:
    """Whether nothing is missing of what `cached` found."""
    return bool(files) and all(files.values())


def checked(artefact: Artefact, name: str, path: Path) -> Checked:
    """Compares one cached file with what is known of it. Raises CheckpointError if it cannot be read."""
    try:
        return check(path, artefact.file(name))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error


def _cached(artefact: Artefact, name: str) -> Path | None:
    return cached_release(name) if artefact.release else cached_file(artefact.repo, name, artefact.revision)


def _matching(folder: Path, artefact: Artefact) -> dict[str, Path]:
    """The folder's files that belong to the artefact; others may have fetched more of its repository."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: folder / name for name in names if artefact.has(name)}
