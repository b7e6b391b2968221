"""The content of large files as a digest, each read once in a process."""

import hashlib
from functools import lru_cache
from pathlib import Path


def cached_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    status = path.stat()
    return _digest_of(path.absolute(), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_of(path: Path, inode: int, size: int, changed: int) -> bytes:
    """Gigabytes are read once in a process, as long as the file stays the one that it was."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
