"""The numbers and the pipe of the comparison with stable-audio-tools, without stable-audio-tools."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

BENCH = Path(__file__).resolve().parents[1] / "suites" / "bench"


@pytest.fixture(autouse=True)
def peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's package is no part of arc_eval: it is found from its own folder."""
    monkeypatch.syspath_prepend(str(BENCH))


# The numbers


def cost(seconds: float) -> dict[str, Any]:
    stages = {"step": seconds / 2, "decode": seconds / 4}
    memory = {"peak_bytes": 2_000_000, "resident_bytes": 1_000_000}
    return {"wall_seconds": seconds, "cpu_seconds": 2 * seconds, "stages": stages, **memory}


def comparison(theirs: Sequence[float], ours: Sequence[float], error: float = 1e-5) -> Any:
    """The first of each warms up; the others are rounds."""
    from peer.summary import Comparison, Round

    first, *rounds = (
        Round({"theirs": cost(slow), "ours": cost(fast)}, {"ours": error})
        for slow, fast in zip(theirs, ours, strict=True)
    )
    facts = {"theirs": {"threads": 2}, "ours": {"threads": 2}}
    return Comparison({"steps": 8}, facts, first, rounds, ("step", "decode"))


def test_the_speed_up_is_the_median_of_the_rounds_ratios_between_order_statistics() -> None:
    # Of ten samples at most one lies below the median with probability 11/1024 < 5 %, at most two with
    # 56/1024 > 5 %: the interval ends at the second from either side. The warm-up is a ratio of 1000.
    theirs = [1000.0, *(ratio * 3.0 for ratio in (4, 1, 10, 2, 9, 3, 8, 5, 7, 6))]
    found, estimate = comparison(theirs, [1.0, *[3.0] * 10]).speed_up("ours", "wall_seconds")
    assert found == pytest.approx(5.5)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((2, 9))
    assert estimate.interval.level == pytest.approx(0.9)


def test_rounds_are_paired_so_that_a_drifting_machine_changes_no_ratio() -> None:
    drift = [1.0, 1.0, 1.5, 4.0, 0.3, 2.0]
    found, estimate = comparison([2.0 * each for each in drift], drift).speed_up("ours", "wall_seconds")
    assert (found, estimate.interval.low, estimate.interval.high) == pytest.approx((2, 2, 2))


def test_four_rounds_have_a_median_and_no_interval() -> None:
    assert comparison([9, 2, 2, 4, 4], [1] * 5).speed_up("ours", "wall_seconds") == (3, None)


def test_the_worst_error_is_of_every_round_the_warm_up_too() -> None:
    from dataclasses import replace

    made = comparison([1, 1], [1, 1], error=1e-6)
    assert made.worst_error == 1e-6
    assert replace(made, warm_up=replace(made.warm_up, errors={"ours": 0.5})).worst_error == 0.5


def test_the_relative_error_is_the_ratio_of_lengths_and_needs_equal_shapes() -> None:
    from peer.summary import relative_error

    expected = torch.tensor([[3.0, 4.0]])
    assert relative_error(expected * 1.25, expected) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"shapes differ: \[2\], must be \[1, 2\]"):
        relative_error(torch.zeros(2), expected)


def test_what_is_written_holds_every_round_and_a_row_for_each_system(tmp_path: Path) -> None:
    from peer.summary import write

    write(comparison([8.0] * 6, [2.0] * 6), tmp_path)
    data = json.loads((tmp_path / "comparison.json").read_text())
    assert data["speed_up"]["ours"]["wall"]["median"] == 4
    assert data["speed_up"]["ours"]["wall"]["interval"]["low"] == 4
    assert [done["costs"]["ours"]["wall_seconds"] for done in data["rounds"]] == [2.0] * 5
    rows = [line.split(" | ") for line in (tmp_path / "comparison.md").read_text().splitlines()[2:4]]
    assert [row[0] for row in rows] == ["| theirs", "| ours"]
    assert [row[1] for row in rows] == ["8.00 (8.00..8.00)", "2.00 (2.00..2.00)"]
    assert [row[-2:] for row in rows] == [["1", "- |"], ["4.00 (4.00..4.00)", "1.0e-05 |"]]


# The pipe

ECHO = """
import os, sys
from peer.link import serve

def load():
    print("loading")

    def call(end=False, **asked):
        print("working")
        os.system("echo a child speaks")
        if end:
            sys.exit("out of paper")
        return {"asked": asked, "kept": os.environ.get("KEPT"), "threads": os.environ.get("OMP_NUM_THREADS")}

    return {"arguments": sys.argv[1:]}, call

serve(load)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a worker that answers with what it was asked, and prints meanwhile."""
    from peer.link import Worker

    def worker(text: str = ECHO) -> Any:
        (tmp_path / "echo.py").write_text(text)
        variables = {"PYTHONPATH": str(tmp_path), "KEPT": "as given"}
        return Worker(Path(sys.executable), "echo", ["a b", "8"], variables, tmp_path / "log")

    return worker


def test_requests_come_back_answered_between_what_the_worker_prints(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    with closing(start()) as worker:
        assert worker.facts == {"arguments": ["a b", "8"]}
        for number in range(3):
            answer = worker.ask(seed=2**62 + number, text='"ä"\n')
            assert answer["asked"] == {"seed": 2**62 + number, "text": '"ä"\n'}
        # What would change the timing is not inherited, what is given arrives.
        assert (answer["kept"], answer["threads"]) == ("as given", None)
    said = (tmp_path / "log").read_text().splitlines()
    assert said.count("a child speaks") == 3


def test_a_worker_that_ends_is_named_with_the_end_of_its_log(start: Callable[..., Any]) -> None:
    from peer.link import WorkerError

    with (
        closing(start()) as worker,
        pytest.raises(WorkerError, match=r"(?s)ended with code 1:.*out of paper"),
    ):
        worker.ask(end=True)
    with pytest.raises(WorkerError, match=r"(?s)ended with code 1:.*no weights"):
        start("raise SystemExit('no weights')")
