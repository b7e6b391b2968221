"""Clips before extractors: each is read and resampled once, while the networks are at the clips before it.

What a clip is turned into before a network (windows, spectrograms) belongs to reading: it costs the CPU
as much time as a network costs an accelerator.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from arc_eval.contracts import Extractor, Hearing
from arc_eval.dsp import resample
from arc_eval.errors import ArcEvalError, StoreError
from arc_eval.models.precision import exact_convolutions
from arc_eval.pipeline.items import Item
from arc_eval.records.audio import AudioBatch
from arc_eval.suite import Part

TOGETHER = 2**25
"""Numbers that go to an extractor at once: 128 MB."""
CLIPS_A_READER = 4
"""Clips at once for each reader: few enough that reading the next ones is done before the network is."""
MOST_READERS = 8

Heard = Tensor | AudioBatch | str
"""What an extractor's network reads of a clip, or a clip for an extractor that takes it whole, or why not."""
Rows = tuple[Tensor, str]
"""float32[row, feature] and "", or no rows and the reason."""
Given = TypeVar("Given")
Result = TypeVar("Result")


def readers(parts: Sequence[Part]) -> int:
    """Threads that read ahead: one beside networks on the CPU, which have no core to spare, else several."""
    on_cpu = all(getattr(part.settings, "device", "cpu") == "cpu" for part in parts)
    return 1 if on_cpu else min(MOST_READERS, os.cpu_count() or 1)


def heard_by(extractors: Sequence[Extractor], items: Sequence[Item], threads: int) -> list[list[Rows]]:
    """For each extractor the rows of every item, in order."""
    described: list[list[Rows]] = [[] for _ in extractors]
    clips = ahead(partial(_hear, extractors), items, threads)
    with exact_convolutions():
        for group in prefetched(_bounded(clips, threads, CLIPS_A_READER * threads)):
            for place, extractor in enumerate(extractors):
                described[place] += _rows(extractor, [heard[place] for heard in group])
    return described


def ahead(task: Callable[[Given], Result], items: Iterable[Given], threads: int) -> Iterator[Result]:
    """The task's results in order; as many items as threads are at work while the caller is."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                running.append(pool.submit(task, item))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for waiting in running:
                waiting.cancel()


def prefetched(groups: Iterator[Given]) -> Iterator[Given]:
    """The same, each made while the caller is at the one before it."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(list, islice(groups, 1))
        while found := following.result():
            following = pool.submit(list, islice(groups, 1))
            yield found[0]


def _hear(extractors: Sequence[Extractor], item: Item) -> list[Heard]:
    """What each extractor hears of an item; it is brought to each sample rate once."""
    try:
        samples, rate = item.audio.read()
    except StoreError:
        raise
    except ArcEvalError as error:
        return [str(error)] * len(extractors)
    at = {rate: samples}
    heard: list[Heard] = []
    for extractor in extractors:
        wanted = extractor.sample_rate or rate
        try:
            if wanted not in at:
                at[wanted] = resample(samples, rate, wanted)
            if isinstance(extractor, Hearing):
                heard.append(extractor.hear(at[wanted], wanted))
            else:
                heard.append(AudioBatch.of([at[wanted]], wanted))
        except ArcEvalError as error:
            heard.append(str(error))
    return heard


def _bounded(clips: Iterable[list[Heard]], first: int, most: int) -> Iterator[list[list[Heard]]]:
    """Clips in groups that fit into memory together, of `most` at most, but of `first` while nothing runs."""
    group: list[list[Heard]] = []
    size, allowed = 0, first
    for heard in clips:
        group.append(heard)
        size += sum(each.numel() for each in heard if isinstance(each, Tensor))
        if size >= TOGETHER or len(group) == allowed:
            yield group
            group, size, allowed = [], 0, most
    if group:
        yield group


def _rows(extractor: Extractor, heard: Sequence[Heard]) -> list[Rows]:
    clear = [each for each in heard if isinstance(each, Tensor)]
    described = iter(extractor.rows(clear) if clear and isinstance(extractor, Hearing) else ())
    found: list[Rows] = []
    for each in heard:
        try:
            if isinstance(each, str):
                found.append((torch.zeros(0, 0), each))
            elif isinstance(each, Tensor):
                found.append((next(described).float(), ""))
            else:
                found.append((extractor.embed(each)[0].float(), ""))
        except ArcEvalError as error:
            found.append((torch.zeros(0, 0), str(error)))
    return found
