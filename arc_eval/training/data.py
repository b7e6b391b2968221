"""Recordings encoded once, then read as often as a training likes.

An encoding (features or latents) is computed for every recording of a source and kept in shards on
disk, named by the digest of source and encoding. A killed preparation goes on from its last shard.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from arc_eval import registry
from arc_eval.contracts import DataSource, Progress
from arc_eval.errors import TrainingError
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import hashed_seed

SHARD = 256


class Encoding(Protocol):
    """A function of audio, or of another encoding of it, that can travel to a worker process."""

    @property
    def over(self) -> "Encoding | None":
        """The encoding that this one reads instead of audio, kept in shards of its own."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        ...

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """Loads the function: audio float32[clip, 2, time], or what `over` gives, to its encoding.

        That is float32[clip, feature, frame], one length for all clips of a source.
        """
        ...


@dataclass(frozen=True)
class Encoded:
    """Encoded recordings and their prompts: row i of the shards belongs to prompt i."""

    prompts: tuple[Prompt, ...]
    shards: tuple[np.memmap[Any, Any], ...]
    digest: str

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, indices: Tensor) -> Tensor:
        """float32[len(indices), feature, frame]."""
        found = [np.asarray(self.shards[i // SHARD][i % SHARD]) for i in indices.tolist()]
        return torch.from_numpy(np.stack(found)).float()


def encode(
    source: Mapping[str, Any], examples: int, encoding: Encoding, cache: Path, progress: Progress
) -> Encoded:
    """Encodes the first `examples` recordings of a source, take after take of every prompt.

    Raises TrainingError if the source has fewer.
    """
    data = registry.settings("data", source, "recipe: data").build()
    prompts = list(data.prompts())
    if len(prompts) * data.takes() < examples:
        raise TrainingError(
            f"recipe: examples: {examples} asked, the source has {len(prompts) * data.takes()}"
        )
    rows = tuple(prompts[i % len(prompts)] for i in range(examples))
    jobs = [range(first, min(first + SHARD, examples)) for first in range(0, examples, SHARD)]
    shards = _Shards.of(data, encoding, cache)
    _fill(shards, source, encoding, jobs, cache, progress)
    return Encoded(rows, tuple(np.load(shards.path(job), mmap_mode="r") for job in jobs), shards.digest)


@dataclass(frozen=True)
class _Shards:
    """Where the shards of one source under one encoding lie."""

    folder: Path
    digest: str

    @classmethod
    def of(cls, data: DataSource, encoding: Encoding, cache: Path) -> "_Shards":
        what = {"source": dict(data.identity()), "encoding": dict(encoding.identity()), "shard": SHARD}
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        return cls(cache / digest[:16], digest)

    def path(self, job: range) -> Path:
        return self.folder / f"{job.start:08d}-{job.stop:08d}.npy"


def _fill(
    shards: _Shards,
    source: Mapping[str, Any],
    encoding: Encoding,
    jobs: list[range],
    cache: Path,
    progress: Progress,
) -> None:
    """Writes the shards that are not there yet, those of the encoding below first."""
    shards.folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not shards.path(job).exists()]
    if not missing:
        return
    if encoding.over is not None:
        below = _Shards.of(registry.settings("data", source, "recipe: data").build(), encoding.over, cache)
        _fill(below, source, encoding.over, missing, cache, progress)
    with (
        progress("encoding recordings", len(missing) * SHARD) as advance,
        ProcessPoolExecutor(
            os.cpu_count(),
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(source, encoding, cache),
        ) as pool,
    ):
        for _ in pool.map(_encode_shard, missing):
            advance(SHARD)


def batch_indices(examples: int, batch: int, seed: int, step: int) -> Tensor:
    """int64[batch]: which examples step `step` sees. Epochs are permutations, read end to end.

    A pure function of the step's number, so that a resumed training sees no example twice.
    """
    positions = torch.arange(step * batch, (step + 1) * batch)
    epochs = positions // examples
    parts = [
        torch.randperm(examples, generator=torch.Generator().manual_seed(hashed_seed("epoch", seed, epoch)))[
            positions[epochs == epoch] % examples
        ]
        for epoch in sorted(set(epochs.tolist()))
    ]
    return torch.cat(parts)


_worker: dict[str, Any] = {}


def _start(source: Mapping[str, Any], encoding: Encoding, cache: Path) -> None:
    torch.set_num_threads(1)
    data: DataSource = registry.settings("data", source, "recipe: data").build()
    below = None if encoding.over is None else _Shards.of(data, encoding.over, cache)
    shards = _Shards.of(data, encoding, cache)
    _worker.update(data=data, prompts=data.prompts(), encode=encoding.encoder(), below=below, shards=shards)


@torch.inference_mode()
def _encode_shard(job: range) -> None:
    inputs = _recordings(job) if _worker["below"] is None else np.load(_worker["below"].path(job))
    rows = [_worker["encode"](torch.from_numpy(row[None]).float())[0].to(torch.float16) for row in inputs]
    path = _worker["shards"].path(job)
    partial = path.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, torch.stack(rows).numpy())
    partial.replace(path)


def _recordings(job: range) -> Iterator[np.ndarray[Any, Any]]:
    prompts = _worker["prompts"]
    for i in job:
        yield _worker["data"].audio(prompts[i % len(prompts)].id, i // len(prompts)).numpy()
