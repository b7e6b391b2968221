"""A Run that was killed goes on where it stopped and ends in the same results; nobody is left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import outcome
from tiny_suites import suite_data, write_suite

from arc_eval.pipeline.run import run
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import load_suite

PROGRAM = Path(__file__).with_name("run_suite.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}  # and the test itself has as many as there are


def published(store: Path) -> int:
    return sum(not path.name.startswith(".") for path in store.rglob("*.*"))


def started(folder: Path, workers: int = 1) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        str(PROGRAM),
        str(folder / "suite.yaml"),
        str(folder / "run"),
        str(folder / "store"),
    ]
    return subprocess.Popen(
        [*command, str(workers)], env=ENVIRONMENT, stderr=subprocess.PIPE, preexec_fn=_hear_interrupts
    )


def _hear_interrupts() -> None:
    """A job in the background of a shell script is started deaf to Ctrl-C, and so would be its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def killed_after(process: "subprocess.Popen[bytes]", store: Path, entries: int) -> bool:
    """Kills with SIGKILL once that many more files are published; whether it was still running."""
    goal = published(store) + entries
    while process.poll() is None:
        if published(store) >= goal:
            process.kill()
            process.wait()
            return True
        time.sleep(0.002)
    return False


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    write_suite(tmp_path / "suite.yaml", suite_data(model))
    return tmp_path


def test_killed_at_random_moments_it_ends_in_the_same_results(folder: Path, finished: tuple[Path, Store]):
    moments = random.Random(1)
    kills = sum(killed_after(started(folder), folder / "store", moments.randrange(1, 45)) for _ in range(4))
    assert kills >= 2
    last = started(folder)
    _, errors = last.communicate()
    assert last.returncode == 0, errors.decode()
    assert outcome(folder / "run") == outcome(finished[0])
    assert set(Run.read(folder / "run").stages.values()) == {"done"}


def test_what_a_killed_run_left_is_not_made_again(folder: Path):
    assert killed_after(started(folder), folder / "store", 20)
    left = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("[0-9a-f]*.*")}
    suite = load_suite(folder / "suite.yaml")
    run(suite, folder / "run", store=Store(folder / "store"))
    # One clip may be torn between its audio and its facts: that one alone may be written twice.
    rewritten = [path for path, written in left.items() if path.stat().st_mtime_ns != written]
    assert len(rewritten) <= 1


def test_a_killed_run_can_be_read_and_says_what_it_was_doing(folder: Path):
    assert killed_after(started(folder), folder / "store", 15)
    found = Run.read(folder / "run")
    assert found.stages == {
        "canaries": "done", "generate": "running", "extract": "waiting", "score": "waiting"
    }  # fmt: skip
    assert not any(system.results for system in found.systems)
    assert [system.name for system in found.systems] == ["recordings", "shuffled", "many-steps", "few-steps"]


def offspring(process: "subprocess.Popen[bytes]") -> Iterator[psutil.Process]:
    yield from psutil.Process(process.pid).children(recursive=True)


def test_workers_end_with_the_process_that_started_them(folder: Path):
    process = started(folder, workers=2)
    while published(folder / "store") < 10 and process.poll() is None:
        time.sleep(0.005)
    workers = list(offspring(process))
    process.kill()
    process.wait()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_an_interrupt_leaves_everything_usable(folder: Path, finished: tuple[Path, Store]):
    process = started(folder)
    while published(folder / "store") < 10 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    run(load_suite(folder / "suite.yaml"), folder / "run", store=Store(folder / "store"))
    assert outcome(folder / "run") == outcome(finished[0])


def test_a_run_killed_in_its_bench_leaves_no_process_and_is_finished_by_the_next(model: Path, tmp_path: Path):
    bench = {"target": {"kind": "local", "threads": 1}, "trials": 2000}
    write_suite(tmp_path / "suite.yaml", suite_data(model, bench=bench))
    process = started(tmp_path)
    while not _benching(tmp_path / "run") and process.poll() is None:
        time.sleep(0.02)
    while len(timed := list(offspring(process))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(timed, timeout=20)
    assert not alive
    suite = load_suite(tmp_path / "suite.yaml", ["bench.trials=1"])
    run(suite, tmp_path / "run", store=Store(tmp_path / "store"))
    assert set(Run.read(tmp_path / "run").stages.values()) == {"done"}


def _benching(folder: Path) -> bool:
    return (folder / "run.json").exists() and Run.read(folder).stages.get("bench") == "running"
