"""How far long work is, on stderr: bars on a terminal, plain lines elsewhere, nothing when quiet."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from arc_eval.contracts import Progress

Advance = Callable[[int], None]


@contextmanager
def shown(quiet: bool) -> "Iterator[Progress]":
    """The progress display that fits where the command runs; it is taken down on leaving."""
    if quiet:
        from arc_eval.contracts import silent

        yield silent
    elif sys.stderr.isatty() and not os.environ.get("CI"):
        with bars() as progress:
            yield progress
    else:
        yield Lines()


@contextmanager
def bars() -> "Iterator[Progress]":
    """One bar for each open piece of work; a finished piece leaves one line behind."""
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as display:

        @contextmanager
        def bar(title: str, total: int) -> Iterator[Advance]:
            started = time.monotonic()
            task = display.add_task(title, total=total)
            try:
                yield partial(display.advance, task)
            finally:
                done = int(display.tasks[display.task_ids.index(task)].completed)
                display.remove_task(task)
                spent = duration(time.monotonic() - started)
                display.console.print(f"{title}: {done}/{total} in {spent}", markup=False, highlight=False)

        yield bar


def to_stderr(line: str) -> None:
    """Writes one line beside the results, never among them."""
    typer.echo(line, err=True)


@dataclass(frozen=True)
class Lines:
    """Progress as plain lines: one at intervals, one when the work ends."""

    interval: float = 10.0
    """Seconds between two lines of one piece of work."""
    clock: Callable[[], float] = time.monotonic
    write: Callable[[str], None] = to_stderr

    def __call__(self, title: str, total: int) -> AbstractContextManager[Advance]:
        return self._lines(title, total)

    @contextmanager
    def _lines(self, title: str, total: int) -> Iterator[Advance]:
        started = last = self.clock()
        done = 0

        def advance(units: int) -> None:
            nonlocal done, last
            done += units
            now = self.clock()
            if now - last >= self.interval:
                last = now
                left = self._left(done, total, now - started)
                self.write(f"{title}: {done}/{total} after {duration(now - started)}{left}")

        try:
            yield advance
        finally:
            self.write(f"{title}: {done}/{total} in {duration(self.clock() - started)}")

    @staticmethod
    def _left(done: int, total: int, spent: float) -> str:
        if not 0 < done < total:
            return ""
        return f", about {duration(spent / done * (total - done))} left"


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.4 s`, `38 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
