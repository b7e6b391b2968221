"""What a call costs: wall and CPU time, time by stage, and the most memory it held.

CPU time beside wall time tells a slow program from a machine that was busy with something else. On
an accelerator every clock is read after the work queued on it is done.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


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
        cpu = time.process_time()
        start = self._now()
        yield self
        self.seconds = self._now() - start
        self.cpu_seconds = time.process_time() - cpu
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
    elif os.access(_CLEAR, os.W_OK):
        try:
            _CLEAR.write_text("5")
        except OSError:
            return  # a container may refuse; then the peak is that of the process so far


def peak_bytes(device: torch.device) -> int:
    """The most memory held since `forget_peak`: allocated on CUDA, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage: a spawned process starts with the high-water mark of its parent there.
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))
