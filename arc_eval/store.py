"""Results on disk, each under the digest of everything that decides its content.

An entry is published whole or not at all: it is written beside its place, flushed and renamed. It
carries the digest of its own payload; one that no longer agrees with it is reported, dropped and
computed again. Two processes that publish the same key write the same content, so neither waits.
"""

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from arc_eval.errors import StoreError

log = logging.getLogger(__name__)


def digest_of(data: object) -> str:
    """sha256 of data as canonical JSON: the same for equal data, whatever the order of its keys.

    Raises ValueError for a NaN or an infinity, TypeError for what JSON cannot say.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def source_digest(*modules: str) -> str:
    """sha256 of the source of modules and packages: results of other code have other keys."""
    sources = hashlib.sha256()
    for module in sorted(modules):
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise StoreError(f"the source of {module} cannot be found; is its package installed?")
        origin = Path(spec.origin)
        package = spec.submodule_search_locations is not None
        for path in sorted(origin.parent.rglob("*.py")) if package else [origin]:
            sources.update(f"{module}/{path.relative_to(origin.parent).as_posix()}\n".encode())
            sources.update(path.read_bytes())
    return sources.hexdigest()


def default_root() -> Path:
    """`$ARC_EVAL_CACHE`, or `arc_eval` in the user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`)."""
    if named := os.environ.get("ARC_EVAL_CACHE"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "arc_eval"


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file, then renames it to `path`: readers see all of it or nothing.

    Raises StoreError if the disk is full or refuses; what was at `path` before stays.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}. What was finished is kept: make room "
            "(or choose another folder, for the store with ARC_EVAL_CACHE) and run the same command again"
        ) from error


def publish_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file or nothing. Raises StoreError."""
    publish(path, lambda partial: partial.write_bytes(content))


class Store:
    """A folder of results: `root/KIND/KE/KEY.suffix`. Made when the first entry is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Where an entry lies, whether or not it exists."""
        return self.root / kind / key[:2] / f"{key}{suffix}"

    def read(self, kind: str, key: str) -> Any | None:
        """The JSON entry under a key; None if there is none or it was damaged."""
        path = self.path(kind, key, ".json")
        try:
            entry = json.loads(path.read_bytes())
            if entry["sha256"] == digest_of(entry["data"]):
                return entry["data"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            pass  # said below: torn or altered, either way not what was written
        self.drop(path)
        return None

    def write(self, kind: str, key: str, data: object) -> None:
        """Publishes a JSON entry. Raises StoreError."""
        entry = json.dumps({"sha256": digest_of(data), "data": data}, ensure_ascii=False)
        publish_bytes(self.path(kind, key, ".json"), entry.encode())

    def holds(self, kind: str, key: str) -> bool:
        """Whether there are tensors under a key; that they are whole is seen when they are read."""
        return self.path(kind, key, ".safetensors").is_file()

    def read_tensors(self, kind: str, key: str) -> dict[str, Tensor] | None:
        """The named tensors under a key; None if there are none or they were damaged."""
        path = self.path(kind, key, ".safetensors")
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                written = (file.metadata() or {}).get("sha256")
        except (SafetensorError, OSError, ValueError):
            written, tensors = None, {}
        if written == tensors_digest(tensors):
            return tensors
        self.drop(path)
        return None

    def write_tensors(self, kind: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Publishes named tensors. Raises StoreError."""
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(whole, metadata={"sha256": tensors_digest(whole)})
        publish_bytes(self.path(kind, key, ".safetensors"), content)

    def drop(self, path: Path) -> None:
        """Forgets a damaged entry, with a warning; it will be computed again."""
        log.warning("%s: damaged (its content is not what was written); it is computed again", path)
        path.unlink(missing_ok=True)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes, types and values, in order of the names."""
    content = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        content.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        content.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return content.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
