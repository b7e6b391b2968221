"""This machine: its CPU with a pinned number of threads, or an accelerator in it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from pydantic import Field

from arc_eval import contracts
from arc_eval.contracts import Generator
from arc_eval.errors import SuiteError
from arc_eval.records.run import Machine
from arc_eval.targets.meters import LocalReading


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


class Local:
    """Runs and times generators in this process."""

    def __init__(self, device: str, threads: int) -> None:
        self.device = usable_device(device)
        self.threads = threads

    def machine(self) -> Machine:
        """Facts of this machine that decide a time."""
        return Machine(
            cpu=_cpu_name(),
            cores=available_cores(),
            threads=self.threads,
            memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
            accelerator=_accelerator(self.device),
            os=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            torch=torch.__version__,
        )

    def load(self, settings: contracts.Settings) -> Generator:
        """Builds the generator here, with this process's threads set for good."""
        torch.set_num_threads(self.threads)
        if "device" in type(settings).model_fields:
            settings = settings.model_copy(update={"device": str(self.device)})
        generator: Generator = settings.build()
        return generator

    @contextmanager
    def meter(self) -> Iterator[LocalReading]:
        """Times what runs inside."""
        with LocalReading(self.device).running() as reading:
            yield reading


class Settings(contracts.Settings):
    """`{kind: local, device: cpu, threads: null}`; by default as many threads as there are cores to use."""

    device: str = "cpu"
    threads: int | None = Field(None, ge=1)

    def build(self) -> Local:
        """The target. Raises SuiteError for a device that is not there."""
        return Local(self.device, self.threads or available_cores())


def usable_device(name: str) -> torch.device:
    """The device of that name. Raises SuiteError if there is none, or PyTorch cannot compute on it."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise SuiteError(f"device {name!r} cannot be used here: {first}; cpu always can") from error
    return device


def _accelerator(device: torch.device) -> str:
    """What computes, if not the CPU: times of the two must never pass for those of one machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "none" if device.type == "cpu" else device.type


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
