"""The catalogue of official artefacts: where each comes from, under which licence, and how it is recognised.

A size or digest is None where no source states it: unknown, never guessed.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from arc_eval.errors import CheckpointError, suggest
from arc_eval.models.schema import Part

HUB = "https://huggingface.co"
CATALOGUE = Path(__file__).with_suffix(".yaml")


class Licence(Part):
    """The terms that an artefact comes under."""

    name: str
    url: str


class File(Part):
    """One file of a repository and what is known of its content."""

    name: str
    bytes: Annotated[int, Field(ge=1)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    optional: bool = False
    """Another form of the same weights: checked where it lies in the cache, never fetched."""


class Release(Part):
    """Files on a plain web server, such as the assets of a release on GitHub."""

    base: Annotated[str, Field(pattern="^https://.*[^/]$")]
    """Each file's address is this, a slash and its name."""
    page: str


class Artefact(Part):
    """A model or encoder as its makers publish it: named files, and whatever matches the patterns."""

    what: str
    repo: str = ""
    """Of the Hugging Face hub, owner/name; empty for files that lie elsewhere."""
    revision: str | None = None
    release: Release | None = None
    """Where the files lie, if not in a repository of the hub."""
    licence: Licence
    gated: bool
    needed_by: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Other artefacts that it does not run without."""
    files: tuple[File, ...] = ()
    patterns: tuple[str, ...] = ()
    """Glob patterns of a folder's files; `files` then only says what is known of some of them."""

    @property
    def page(self) -> str:
        """Where its makers describe it and its licence is accepted."""
        return self.release.page if self.release else f"{HUB}/{self.repo}"

    def has(self, name: str) -> bool:
        """Whether a file belongs to it. Without patterns, only those it names."""
        return name in {file.name for file in self.files} or any(fnmatchcase(name, p) for p in self.patterns)

    def file(self, name: str) -> File:
        """What is known of one of its files: nothing but the name, if it is only matched by a pattern."""
        return next((file for file in self.files if file.name == name), File(name=name))


class _Catalogue(Part):
    licences: dict[str, Licence]
    artefacts: dict[str, Artefact]

    @model_validator(mode="after")
    def _closed(self) -> "_Catalogue":
        for name, artefact in self.artefacts.items():
            if not artefact.files and not artefact.patterns:
                raise ValueError(f"{name}: neither files nor patterns")
            if bool(artefact.repo) == bool(artefact.release):
                raise ValueError(f"{name}: its files lie in a repository or in a release: one of the two")
            if artefact.release and artefact.patterns:
                raise ValueError(f"{name}: what a release has beside its named files cannot be asked")
            if unknown := set(artefact.needs) - set(self.artefacts):
                raise ValueError(
                    f"{name}: needs {', '.join(sorted(unknown))}, which the catalogue does not have"
                )
        return self


@cache
def catalogue() -> Mapping[str, Artefact]:
    """Every artefact by its id, in the catalogue's order."""
    import yaml

    data = yaml.safe_load(CATALOGUE.read_text("utf-8"))
    for artefact in data["artefacts"].values():
        artefact["licence"] = data["licences"][artefact["licence"]]
    return _Catalogue.model_validate(data).artefacts


def artefact(name: str) -> Artefact:
    """The artefact with this id. Raises CheckpointError with the near miss if there is none."""
    known = catalogue()
    if name not in known:
        raise CheckpointError(f"no artefact {name!r}; {suggest(name, known)}")
    return known[name]
