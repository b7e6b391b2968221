"""Files of releases on plain web servers: from the cache when they lie there, else downloaded.

The cache is the folder into which `torch.hub` puts checkpoints (`hub/checkpoints` in TORCH_HOME, or in
~/.cache/torch), so that what another program fetched, or somebody copied there, is found. A file appears
there whole or not at all, and only if it is what the catalogue says. Offline no connection is opened.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import torch

from arc_eval.errors import CheckpointError
from arc_eval.models.artefacts import File, Release
from arc_eval.models.offline import offline

PATIENCE = 30.0
"""Seconds to wait for the server's next bytes."""
CHUNK = 1 << 20


def release_cache() -> Path:
    """The folder that released files lie in."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_release(name: str) -> Path | None:
    """Where a file lies in the cache; None if it does not."""
    path = release_cache() / name
    return path if path.is_file() else None


def released(release: Release, file: File) -> Path:
    """The local copy of one file of a release.

    Raises CheckpointError with what to do: offline and not cached, no network, no such file, a transfer that
    broke off, another content than the catalogue says, no room on the disk.
    """
    found = cached_release(file.name)
    if found is not None:
        return found
    address = f"{release.base}/{quote(file.name)}"
    target = release_cache() / file.name
    by_hand = f"or put the file from {address} there, as {target}"
    if offline():
        raise CheckpointError(
            f"{file.name}: not in the cache {target.parent}, and nothing is downloaded while offline "
            "(--offline, HF_HUB_OFFLINE or ARC_EVAL_OFFLINE). Run the same command once without it, "
            f"{by_hand}"
        )
    with _explained(address, by_hand):
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(address, target, file)
    return target


def _download(address: str, target: Path, file: File) -> None:
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with urlopen(address, timeout=PATIENCE) as answer, partial.open("wb") as output:
            if urlsplit(answer.geturl()).scheme != urlsplit(address).scheme:
                raise CheckpointError(f"{address}: leads to {answer.geturl()}, which is not followed")
            announced = answer.headers.get("Content-Length")
            size, sha256 = _copied(answer, output)
        if announced is not None and size != int(announced):
            raise CheckpointError(
                f"{address}: the transfer broke off after {size:,} of {int(announced):,} bytes; try again"
            )
        if file.bytes not in (None, size) or file.sha256 not in (None, sha256):
            raise CheckpointError(
                f"{address}: is not the file that the catalogue knows ({file.bytes or 'any number of'} "
                f"bytes, sha256 {file.sha256}), but {size} bytes of sha256 {sha256}; it was not kept"
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _copied(source: IO[bytes], target: IO[bytes]) -> tuple[int, str]:
    """How many bytes went over, and their digest."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        target.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


@contextmanager
def _explained(address: str, by_hand: str) -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        raise CheckpointError(
            f"{address}: the server answered {error.code} {error.reason}. Try again later, {by_hand}"
        ) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise CheckpointError(
            f"{address}: cannot be reached or broke off ({reason}). Run the same command again when there "
            f"is a network, {by_hand}"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{address}: {error.strerror or error}; can the cache {release_cache()} be written, is its disk "
            "full? TORCH_HOME names another place"
        ) from error
