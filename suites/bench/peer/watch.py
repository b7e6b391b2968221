"""What a call costs, read the same way in both environments: wall and CPU time, stages, resident memory."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Watch:
    """Times calls and the stages inside them."""

    def __init__(self) -> None:
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what runs inside to the stage of this name."""
        start = time.perf_counter()
        yield
        self._stages[name] = self._stages.get(name, 0.0) + time.perf_counter() - start

    def staged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, each of its calls counted to a stage."""

        def watched(*arguments: object, **options: object) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return watched

    def call(self, function: Callable[[], T]) -> tuple[T, dict[str, object]]:
        """What a function returns, and what it cost."""
        self._stages = {}
        cpu, wall = time.process_time(), time.perf_counter()
        result = function()
        cost = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        return result, {**cost, "stages": self._stages, **memory()}


def memory() -> dict[str, int]:
    """Bytes resident now, and the most there were since the process began (Linux)."""
    names = {"VmRSS": "resident_bytes", "VmHWM": "peak_bytes"}
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {names[words[0][:-1]]: int(words[1]) * 1024 for words in lines if words[0][:-1] in names}


def forget_peak() -> None:
    """Lets the most that was ever resident begin anew from what is resident now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def facts(packages: tuple[str, ...]) -> dict[str, object]:
    """Versions, threads and memory of this process once its model is loaded."""
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "loaded": memory(),
    }
