"""What a training writes down as it goes: JSON lines, and TensorBoard's files where that is installed."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arc_eval.store import publish_bytes
from arc_eval.training.saved import Progressed


class Journal:
    """`log.jsonl` in a folder: a line for each step that is written down; times count training alone."""

    def __init__(self, lines: Any, board: Any, batch: int, done: Progressed) -> None:
        self._lines, self._board, self._batch = lines, board, batch
        self._before, self._began = done.seconds, time.monotonic()
        self._last: tuple[int, float] | None = None

    @property
    def seconds(self) -> float:
        """Spent on this training so far, before interruptions included."""
        return self._before + time.monotonic() - self._began

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One line: the step, the time, the figures, and clips per second since the line before."""
        now = self.seconds
        entry = {"step": step, "seconds": round(now, 1), **figures}
        if self._last is not None and now > self._last[1]:
            entry["clips_per_second"] = round((step - self._last[0]) * self._batch / (now - self._last[1]), 2)
        self._last = step, now
        self._lines.write(json.dumps(entry) + "\n")
        self._lines.flush()
        if self._board is not None:
            for name, value in entry.items():
                if name != "step":
                    self._board.add_scalar(name, value, step)


@contextmanager
def journal(out: Path, batch: int, done: Progressed) -> Iterator[Journal]:
    """Opens the folder's journal to go on with it after `done`. batch: clips in a step.

    What it says of later steps, which a killed training made and lost, is taken out first, and so is a line
    that was torn: every step stands in it once. Raises StoreError if the disk refuses.
    """
    path = out / "log.jsonl"
    if path.exists():
        kept = [line for line in path.read_bytes().splitlines(keepends=True) if _before(line, done.step)]
        publish_bytes(path, b"".join(kept))
    board = _board(out, done.step)
    try:
        with path.open("a") as lines:
            yield Journal(lines, board, batch, done)
    finally:
        if board is not None:
            board.close()


def _before(line: bytes, step: int) -> bool:
    """Whether a whole line speaks of a step before `step`."""
    try:
        return line.endswith(b"\n") and bool(json.loads(line)["step"] < step)
    except (ValueError, KeyError, TypeError):
        return False


def _board(out: Path, step: int) -> Any | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out), purge_step=step)
