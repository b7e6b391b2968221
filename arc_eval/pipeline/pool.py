"""Work side by side in processes of their own, one compute thread each.

How a sum is split over threads can change its last bit. With one thread to each process the number
of processes changes nothing but the time. Workers end by themselves when their parent is gone.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from arc_eval.errors import IncompleteError
from arc_eval.suite import Part

Item = TypeVar("Item")
Result = TypeVar("Result")


@lru_cache(maxsize=2)
def built(part: Part) -> Any:
    """What a part describes, loaded once in each process; the two last used stay loaded."""
    return part.build()


@lru_cache(maxsize=1)
def together(parts: tuple[Part, ...]) -> tuple[Any, ...]:
    """What several parts describe, loaded once in each process; the last ones asked for stay loaded."""
    return tuple(part.build() for part in parts)


def batches(items: Sequence[Item], size: int) -> list[tuple[Item, ...]]:
    """The items in order, `size` at a time; the last batch may be smaller."""
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes on one thread inside; what was set before comes back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started inside never hear Ctrl-C, not even while they import; the parent hears it after.

    A blocked signal stays blocked in a child and waits in the parent, so none is lost.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """A number of workers; with one, the work is done here. Processes start with the first task."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        built.cache_clear()
        together.cache_clear()
        if self._executor is not None:
            self._executor.shutdown(wait=kind is None, cancel_futures=True)
            self._executor = None

    def each(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results in the order they are finished. `task` is a function that processes can share.

        Raises IncompleteError if a worker is killed, and whatever the task raises.
        """
        if self.workers == 1 or len(items) <= 1:
            for item in items:
                with one_thread():
                    result = task(item)
                yield result
            return
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_begin)
        waiting = iter(items)
        running: set[Future[Result]] = set()
        try:
            # A queue of two for each worker: an error is seen soon, and nobody waits for work.
            for item in waiting:
                with deaf_children():
                    running.add(self._executor.submit(task, item))
                if len(running) >= 2 * self.workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            raise IncompleteError(
                "a worker process was killed (out of memory?). What was finished is kept: run the same "
                "command again, with fewer workers"
            ) from error
        finally:
            for future in running:
                future.cancel()


def _begin() -> None:
    """Prepares a worker: one thread, deaf to Ctrl-C (the parent hears it), gone when the parent is."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
