"""Filling shards: recordings are read, cut and encoded by as many processes as there are cores.

Every shard is published by itself, so a killed preparation goes on from its last ones. Each row is
encoded alone, on one thread: neither its neighbours nor the machine's cores change it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from arc_eval import registry
from arc_eval.contracts import DataSource, Progress
from arc_eval.errors import AudioError, TrainingError
from arc_eval.training.lost import Lost
from arc_eval.training.shards import EncodedRow, Job, Shard, Shards
from arc_eval.training.window import Window


class Encoding(Protocol):
    """A function of audio, or of another encoding of it, that can travel to a worker process."""

    @property
    def window(self) -> Window:
        """The audio that it reads, be it through another encoding."""
        ...

    @property
    def over(self) -> "Encoding | None":
        """The encoding that this one reads instead of audio, kept in shards of its own."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        ...

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """Loads the function: audio float32[clip, channel, time] of the window, or what `over` gives, to
        its encoding float32[clip, feature, frame]."""
        ...


@dataclass(frozen=True)
class Preparation:
    """What a process needs to know to fill shards of one encoding."""

    source: Mapping[str, Any]
    encoding: Encoding
    shards: Shards
    below: Shards | None


def prepared(
    source: Mapping[str, Any],
    identity: Mapping[str, str],
    encoding: Encoding,
    jobs: Sequence[Job],
    cache: Path,
    progress: Progress,
) -> tuple[Shards, list[Shard]]:
    """The jobs' shards and where they lie; what is missing is filled, in the encoding below first.

    source: a data source's settings; identity: the source's own, which takes long to ask for.
    """
    shards = Shards.of(identity, encoding.identity(), encoding.window, cache)
    found = {job: shards.read(job) for job in jobs}
    missing = [job for job, shard in found.items() if shard is None]
    if missing:
        below = None
        if encoding.over is not None:
            below, _ = prepared(source, identity, encoding.over, missing, cache, progress)
        with progress("encoding recordings", sum(len(job.rows) for job in missing)) as advance:
            _fill(Preparation(source, encoding, shards, below), missing, advance)
    return shards, [shards.open(job) if shard is None else shard for job, shard in found.items()]


def _fill(preparation: Preparation, jobs: Sequence[Job], advance: Callable[[int], None]) -> None:
    if len(jobs) == 1:  # a process would take longer to start than most shards to fill
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):  # loading a network draws from the process's stream
                advance(Worker(preparation).fill(jobs[0]))
        finally:
            torch.set_num_threads(threads)
        return
    pool = ProcessPoolExecutor(
        min(len(jobs), os.cpu_count() or 1),
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(preparation,),
    )
    try:
        with pool:
            for count in pool.map(_fill_one, jobs):
                advance(count)
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process that encodes recordings died (was there too little memory?); "
            "what it finished is kept: run the same command again"
        ) from error


class Input(NamedTuple):
    """What a row is made of. content: float32[1, feature, time], audio or the encoding below."""

    row: int
    content: Tensor
    samples: int


class Worker:
    """A process's source and networks, loaded once."""

    def __init__(self, preparation: Preparation) -> None:
        encoding, below = preparation.encoding, preparation.below
        self.window, self.encode, self.shards = encoding.window, encoding.encoder(), preparation.shards
        self.inputs: Callable[[Job], Iterator[Input | Lost]]
        if below is None:
            data: DataSource = registry.settings("data", preparation.source, "recipe: data").build()
            self.inputs = partial(_recorded, data, self.window)
        else:
            self.inputs = partial(_stored, below)

    @torch.inference_mode()
    def fill(self, job: Job) -> int:
        """Writes the job's shard and returns how many rows it stands for."""
        rows, lost = [], []
        for found in self.inputs(job):
            if isinstance(found, Lost):
                lost.append(found)
                continue
            encoded = self.encode(found.content)[0].to(torch.float16)
            if encoded.isfinite().all():
                frames = self.window.frames(found.samples, encoded.shape[-1])
                rows.append(EncodedRow(found.row, encoded, frames, found.samples))
            else:
                row = job.rows[found.row - job.first]
                lost.append(Lost(row.prompt, row.take, "its encoding is not finite in float16"))
        self.shards.write(job, rows, lost)
        return len(job.rows)


def _recorded(data: DataSource, window: Window, job: Job) -> Iterator[Input | Lost]:
    for number, row in enumerate(job.rows, job.first):
        try:
            audio = data.audio(row.prompt, row.take)
        except AudioError as error:
            yield Lost(row.prompt, row.take, str(error))
        else:
            clip = window.clip(audio, row.seed)
            yield Input(number, clip.audio[None], clip.samples)


def _stored(below: Shards, job: Job) -> Iterator[Input | Lost]:
    shard = below.open(job)
    yield from shard.lost
    for i, (number, samples) in enumerate(zip(shard.row.tolist(), shard.samples.tolist(), strict=True)):
        yield Input(number, torch.tensor(shard.encoded[i][None], dtype=torch.float32), samples)


_worker: list[Worker] = []


def _start(preparation: Preparation) -> None:
    torch.set_num_threads(1)
    _worker.append(Worker(preparation))


def _fill_one(job: Job) -> int:
    return _worker[0].fill(job)
