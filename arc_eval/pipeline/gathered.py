"""Rows gathered pack by pack into one table, of which memory need not hold more than is looked at."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import torch
from torch import Tensor

from arc_eval.errors import StoreError

IN_MEMORY = 2**26
"""Bytes up to which a table stays in memory; a larger one is mapped from a file without a name."""


class Gathered:
    """A table under construction. `folder` is where a large one lies; nothing is left there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[Tensor] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._features = 0

    def add(self, rows: Tensor) -> None:
        """Appends float32[row, feature]. Raises StoreError if the disk is full."""
        if not len(rows):
            return
        self._parts.append(rows)
        self._bytes += rows.nbytes
        self._features = rows.shape[1]
        if self._file is not None or self._bytes > IN_MEMORY:
            self._move()

    def table(self) -> Tensor:
        """float32[row, feature] of all that was added, in order; [0, 0] of nothing."""
        if self._file is None:
            return torch.cat(self._parts) if self._parts else torch.zeros(0, 0)
        with self._file as file:
            # Copied on write, so that nobody can alter what others see; the system may drop its pages.
            mapped = np.memmap(
                file, np.float32, "c", shape=(self._bytes // 4 // self._features, self._features)
            )
        return torch.from_numpy(mapped)

    def _move(self) -> None:
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed once it is mapped)
            for part in self._parts:
                self._file.write(part.contiguous().numpy().data)
            self._file.flush()  # here, where a full disk has its message
        except OSError as error:
            raise StoreError(
                f"{self._folder}: no room for a table of embeddings: {error.strerror or error}. What was "
                "finished is kept: make room and run the same command again"
            ) from error
        self._parts.clear()
