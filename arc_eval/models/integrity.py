"""Whether a file on disk is whole: its size, its digest, its safetensors header.

The digest is compared with the catalogue's. Where the catalogue has none, the hub's own announcement
serves: its cache names each file's content by it (sha256 of large files, git's sha1 of small ones).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from arc_eval.models.artefacts import File

CHUNK = 1 << 22


@dataclass(frozen=True)
class Checked:
    """What was found out about a file's content; `problem` is empty if nothing speaks against it."""

    path: Path
    bytes: int
    sha256: str
    against: Literal["catalogue", "hub", "nothing"]
    """Whose digest it was compared with."""
    problem: str = ""


def check(path: Path, known: File) -> Checked:
    """Reads a file whole and compares it with what is known of it. Raises OSError if it cannot be read."""
    size = path.stat().st_size
    announced = announced_digest(path)
    sha256, sha1 = _digests(path, size)
    against: Literal["catalogue", "hub", "nothing"] = "hub" if announced else "nothing"
    if known.sha256 is not None:
        against = "catalogue"
    problem = ""
    if known.bytes is not None and size != known.bytes:
        problem = f"{'truncated' if size < known.bytes else 'too long'}: {size:,} of {known.bytes:,} bytes"
    elif (known.sha256 or announced or sha256) not in (sha256, sha1):
        problem = f"its content is not what the {against} says: {known.sha256 or announced}, but {sha256}"
    elif path.suffix == ".safetensors":
        problem = _header_problem(path)
    return Checked(path, size, sha256, against, problem)


def announced_digest(path: Path) -> str | None:
    """What the hub said of a cached file's content: 64 digits of sha256, or 40 of git's sha1."""
    # One step only: from the blob, links may lead on into stores with names of another kind.
    blob = path.readlink() if path.is_symlink() else path
    digits = set(blob.name) <= set("0123456789abcdef")
    return blob.name if digits and blob.parent.name == "blobs" and len(blob.name) in (40, 64) else None


def _digests(path: Path, size: int) -> tuple[str, str]:
    """sha256 of the content, and the sha1 under which git knows it."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            sha1.update(chunk)
    return sha256.hexdigest(), sha1.hexdigest()


def _header_problem(path: Path) -> str:
    try:
        with safe_open(path, framework="np"):
            return ""
    except SafetensorError as error:
        return f"no whole safetensors file: {error}"
