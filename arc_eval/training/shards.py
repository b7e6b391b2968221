"""Shards: encoded recordings on disk, in safetensors files that are mapped and read row by row.

A shard holds a fixed range of a source's rows, without those that were lost: `encoded`
float16[row, feature, frame]; `frames` int64[row], how many of the frames hold sound (the rest is
padding); `samples` int64[row], the length of that sound; `row` int64[row], the row's number in the
source. Its metadata says what it was made of, so a foreign shard is never taken for another.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from arc_eval.errors import TrainingError
from arc_eval.seeding import hashed_seed
from arc_eval.store import digest_of, publish_bytes
from arc_eval.training.lost import Lost
from arc_eval.training.window import Window

log = logging.getLogger(__name__)

SHARD = 64
"""Rows of a shard: what a killed preparation does again at most, on each of its processes."""
FORMAT = "arc_eval shard 2"


@dataclass(frozen=True)
class Row:
    """One clip: a part of one recording of a prompt."""

    prompt: str
    take: int
    crop: int

    @property
    def seed(self) -> int:
        """Decides the part. A training's own seed is not in it: several may share the encoded data."""
        return hashed_seed("crop", self.prompt, self.take, self.crop)


@dataclass(frozen=True)
class Job:
    """The rows of one shard; the first is row `first` of the source."""

    first: int
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The range of its rows, the last excluded."""
        return f"{self.first:08d}-{self.first + len(self.rows):08d}"


class EncodedRow(NamedTuple):
    """A row of a shard. encoded: float16[feature, frame]."""

    row: int
    encoded: Tensor
    frames: int
    samples: int


@dataclass(frozen=True)
class Shard:
    """A file's content; `encoded` is read from disk when it is looked at."""

    encoded: np.ndarray[Any, Any]
    frames: Tensor
    samples: Tensor
    row: Tensor
    lost: tuple[Lost, ...]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Shards:
    """Where the shards of one source under one encoding lie: a folder named by what decides them."""

    folder: Path
    digest: str

    @classmethod
    def of(
        cls, source: Mapping[str, str], encoding: Mapping[str, str], window: Window, cache: Path
    ) -> "Shards":
        """The folder for the identities of a source and an encoding."""
        what = {"format": FORMAT, "source": dict(source), "encoding": dict(encoding)}
        digest = digest_of({**what, "window": asdict(window), "shard": SHARD})
        return cls(cache / digest[:16], digest)

    def write(self, job: Job, rows: Sequence[EncodedRow], lost: Sequence[Lost]) -> None:
        """Publishes a shard whole. Raises StoreError if the disk is full or refuses."""
        empty = torch.empty(0, 0, 0, dtype=torch.float16)
        tensors = {
            "encoded": torch.stack([row.encoded for row in rows]) if rows else empty,
            "frames": torch.tensor([row.frames for row in rows], dtype=torch.int64),
            "samples": torch.tensor([row.samples for row in rows], dtype=torch.int64),
            "row": torch.tensor([row.row for row in rows], dtype=torch.int64),
        }
        said = {**self._stamp(job), "lost": json.dumps([asdict(one) for one in lost])}
        publish_bytes(self._path(job), save(tensors, said))

    def read(self, job: Job) -> Shard | None:
        """The job's shard; None if there is none, or, with a warning, if it is torn or another's."""
        path = self._path(job)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:  # refuses a file that is cut short
                said = file.metadata() or {}
                if said.items() >= self._stamp(job).items():
                    small = {name: file.get_tensor(name) for name in ("frames", "samples", "row")}
                    lost = tuple(Lost(**one) for one in json.loads(said["lost"]))
                    return Shard(_mapped(path, "encoded"), **small, lost=lost)
            fault = "made of something else"
        except (SafetensorError, OSError) as error:
            fault = f"damaged ({error})"
        log.warning("%s: %s; it is made again", path, fault)
        return None

    def open(self, job: Job) -> Shard:
        """A shard that has just been written. Raises TrainingError if it is gone or torn already."""
        shard = self.read(job)
        if shard is None:
            raise TrainingError(
                f"{self._path(job)}: was written but cannot be read back; "
                "is the disk sound, and does another process clear this folder?"
            )
        return shard

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.name}.safetensors"

    def _stamp(self, job: Job) -> dict[str, str]:
        return {"made_of": self.digest, "rows": job.name}


def _mapped(path: Path, name: str) -> np.ndarray[Any, Any]:
    """A float16 tensor of a safetensors file, mapped: a row costs a tenth of what `get_slice` takes.

    Source of the layout: https://github.com/huggingface/safetensors, "Format".
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
    shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
    if start == stop:
        return np.empty(shape, np.float16)
    return np.asarray(np.memmap(path, np.float16, "r", 8 + length + start, shape))
