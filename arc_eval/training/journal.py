"""What a training writes down as it goes: JSON lines, and TensorBoard's files where that is installed."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Journal:
    """`log.jsonl` in a folder: a line for each step that is written down; times count training alone."""

    def __init__(self, lines: Any, board: Any, batch: int, seconds: float) -> None:
        self._lines, self._board, self._batch = lines, board, batch
        self._before, self._began = seconds, time.monotonic()
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
def journal(out: Path, batch: int, seconds: float) -> Iterator[Journal]:
    """Opens the folder's journal to go on with it. batch: clips in a step; seconds: spent before."""
    board = _board(out)
    try:
        with (out / "log.jsonl").open("a") as lines:
            yield Journal(lines, board, batch, seconds)
    finally:
        if board is not None:
            board.close()


def _board(out: Path) -> Any | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out))
