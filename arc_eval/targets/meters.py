"""What a call costs: wall and CPU time, time by stage, and the most memory it held.

CPU time beside wall time tells a slow program from a machine that was busy with something else. On
an accelerator every clock is read after the work queued on it is done. CPU time and resident memory
are those of this process and of the programs that it keeps running: a generator may be one of them.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

_PROC = Path("/proc")


class LocalReading:
    """What was seen between entry and exit; `stage` is the hook that a generator is handed."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.stages: list[tuple[str, float]] = []
        self.peak_bytes = 0
        self._device = device

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage; several of one name are several entries."""
        start = self._now()
        yield
        self.stages.append((name, self._now() - start))

    @contextmanager
    def running(self) -> Iterator["LocalReading"]:
        """Times what runs inside; the reading is whole once it is left."""
        forget_peak(self._device)
        cpu = _cpu_seconds()
        start = self._now()
        yield self
        self.seconds = self._now() - start
        self.cpu_seconds = sum(spent - cpu.get(of, 0.0) for of, spent in _cpu_seconds().items())
        self.peak_bytes = peak_bytes(self._device)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()


def forget_peak(device: torch.device) -> None:
    """Starts the peak anew, where the system can: on CUDA, and on Linux for resident memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    for process in _family():
        # A container may refuse, and a program may just have ended; then the peak is that so far.
        with suppress(OSError):
            (_PROC / str(process.pid) / "clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """The most memory held since `forget_peak`: allocated on CUDA, else resident, summed over processes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return sum(map(_resident_peak, _family()))


def _family() -> list[psutil.Process]:
    """This process and all that it started and that still run."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def _cpu_seconds() -> dict[int, float]:
    """By process id. Of this process exactly, of its children to the system's hundredth of a second."""
    spent = {os.getpid(): time.process_time()}
    for process in _family()[1:]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent[process.pid] = times.user + times.system
    return spent


def _resident_peak(process: psutil.Process) -> int:
    # Not getrusage: a spawned process starts with the high-water mark of its parent there.
    with suppress(OSError):
        for line in (_PROC / str(process.pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    with suppress(psutil.NoSuchProcess):
        memory = process.memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    return 0
