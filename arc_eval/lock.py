"""One writer of a folder at a time, for as long as its process lives and no longer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arc_eval.errors import ArcEvalError

LOCK = ".lock"


@contextmanager
def only_writer(folder: Path, what: str, error: type[ArcEvalError]) -> Iterator[None]:
    """The folder, made if need be, for this process alone until it is left, however it ends.

    what: is written there, for messages. Raises `error` if another process writes it, with that process's
    number, or if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as refusal:
        raise error(
            f"{folder}: cannot be written: {refusal.strerror}; choose another with --out"
        ) from refusal
    with file:
        try:
            _take(file.fileno())
        except BlockingIOError:
            file.seek(0)
            writer = file.read().strip() or "unknown"
            raise error(
                f"{folder}: process {writer} is writing this {what}; wait for it, or choose another folder "
                "with --out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _take(file: int) -> None:
    """The system gives the lock back when the process ends. Raises BlockingIOError if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows: two writers are not kept apart there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks, as some clusters have
        return
