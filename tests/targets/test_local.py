"""What a meter reads is what was spent inside it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_suites import save_random_model

from arc_eval.errors import SuiteError
from arc_eval.generators.latent import Settings as Latent
from arc_eval.records.prompt import Prompt
from arc_eval.targets.local import Settings
from arc_eval.targets.meters import LocalReading


def test_waiting_takes_wall_time_and_working_takes_both():
    target = Settings().build()
    with target.meter() as waited:
        time.sleep(0.1)
    with target.meter() as worked:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert waited.seconds >= 0.1
    assert waited.cpu_seconds < 0.05
    assert worked.cpu_seconds == pytest.approx(0.1, abs=0.03)
    assert worked.seconds >= worked.cpu_seconds - 0.01


def test_stages_are_listed_in_order_and_fit_in_the_call():
    with Settings().build().meter() as reading:
        for name in ("text", "step", "step", "decode"):
            with reading.stage(name):
                time.sleep(0.01)
    assert [name for name, _ in reading.stages] == ["text", "step", "step", "decode"]
    assert all(seconds >= 0.01 for _, seconds in reading.stages)
    assert sum(seconds for _, seconds in reading.stages) <= reading.seconds


def test_each_reading_begins_anew():
    target = Settings().build()
    for _ in range(2):
        with target.meter() as reading, reading.stage("step"):
            pass
        assert len(reading.stages) == 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can forget a peak")
def test_the_peak_is_of_the_call_and_not_of_what_came_before():
    # A process of its own: here, memory that other tests have freed may hold the tensor.
    told = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    large, small = map(int, told.stdout.split())
    assert large - small > 200 * 2**20


PEAKS = """
import torch
from arc_eval.targets.local import Settings
target = Settings().build()
with target.meter() as large:
    torch.ones(64 * 2**20).sum()
with target.meter() as small:
    torch.ones(1).sum()
print(large.peak_bytes, small.peak_bytes)
"""


WORK = """
import sys, time
for line in sys.stdin:
    end = time.process_time() + 0.2
    block = bytearray(200 * 2**20)
    while time.process_time() < end:
        pass
    print(len(block), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can forget a peak")
def test_what_a_program_of_ours_spends_is_counted():
    target = Settings().build()
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin and program.stdout
        with target.meter() as idle:
            time.sleep(0.01)
        with target.meter() as busy:
            program.stdin.write("go\n")
            program.stdin.flush()
            program.stdout.readline()
        program.stdin.close()
    assert busy.cpu_seconds - idle.cpu_seconds > 0.15
    assert busy.peak_bytes - idle.peak_bytes > 150 * 2**20


def test_the_machine_is_described_with_the_threads_that_are_used():
    machine = Settings(threads=1).build().machine()
    assert machine.threads == 1
    assert machine.cores >= 1
    assert machine.memory_gb > 0
    assert machine.torch == torch.__version__
    assert machine.accelerator == "none"


def test_a_generator_is_loaded_on_the_target(tmp_path: Path):
    model = save_random_model(tmp_path / "model")
    target = Settings(threads=torch.get_num_threads()).build()
    generator = target.load(Latent(weights=str(model), sampler="euler", steps=1))
    assert generator.generate([Prompt("p", "a bell", 0.1)], [0]).lengths == (800,)


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_refused(device: str):
    with pytest.raises(SuiteError, match="cpu always can"):
        Settings(device=device).build()


def test_whatever_is_not_the_cpu_is_named_so_that_machines_differ():
    other = Settings(device="meta").build().machine()
    assert other.accelerator == "meta"
    assert other != Settings().build().machine()


def test_the_clock_of_an_apple_accelerator_is_read_after_its_work_is_done(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append(time.perf_counter()))
    with LocalReading(torch.device("mps")).running() as reading, reading.stage("step"):
        pass
    assert len(waits) == 4  # before and after the call, and the stage within it
    assert reading.seconds >= waits[-1] - waits[0] - 1e-3
