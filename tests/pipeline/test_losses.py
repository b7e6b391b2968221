"""A clip that cannot be made is a row with its reason; its neighbours and everything before it are kept."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import outcome
from tiny_suites import suite_data, write_suite

from arc_eval import registry
from arc_eval.errors import SuiteError
from arc_eval.pipeline.run import run
from arc_eval.records.measurement import Failure, Measurement
from arc_eval.records.parquet import read_clips
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite, load_suite

PROGRAM = Path(__file__).with_name("run_suite.py")
CAPTIONS = ["fine", "raises", "fine too", "empty", "broken", "silent", "good", "better"]


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stranger's plug-in, installed as any package is: a module and its entry point."""
    site = tmp_path / "site"
    facts = site / "strange-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[arc_eval.generators]\nstrange = strange_plugin:Settings\nbroken = no_such_module:Settings\n"
    )
    (site / "strange_plugin.py").write_text(Path(__file__).with_name("strange_plugin.py").read_text())
    monkeypatch.syspath_prepend(str(site))
    registry._installed.cache_clear()
    yield
    registry._installed.cache_clear()


@pytest.fixture
def strange_suite(make_suite: Callable[..., Suite], tmp_path: Path) -> Callable[..., Suite]:
    lines = [f"p{index},{text},0.2" for index, text in enumerate(CAPTIONS)]
    (tmp_path / "prompts.csv").write_text("\n".join(["id,caption,seconds", *lines]) + "\n")

    def make(**changes: Any) -> Suite:
        return make_suite(
            prompts={"kind": "folder", "path": str(tmp_path / "prompts.csv")},
            controls={},
            generators={"strange": {"kind": "strange"}},
            **changes,
        )

    return make


@pytest.mark.usefixtures("strange")
@pytest.mark.parametrize("workers", [1, 2])
def test_trouble_with_one_clip_is_a_row_and_spares_its_batch(
    strange_suite: Callable[..., Suite], tmp_path: Path, workers: int
):
    found = run(strange_suite(takes=2), tmp_path / "run", store=Store(tmp_path / "store"), workers=workers)
    rows = {row.clip: row for row in read_clips(tmp_path / "run")}
    assert len(rows) == len(CAPTIONS) * 2
    expected = {"p1": "KeyError", "p3": "0 samples", "p4": "1 of 3200 samples are not finite"}
    for row in rows.values():
        assert row.status == ("failed" if row.prompt in expected else "ok")
        assert expected.get(row.prompt, "") in row.reason
    assert rows["p5#0"].silence == 1
    assert found.stages["generate"].startswith("failed: strange: 6 of 16 clips failed; p1#0: KeyError")
    assert found.stages["extract"] == "done"
    for result in found.systems[0].results:
        assert isinstance(result, Measurement)
        assert (result.counts.planned, result.counts.generated) == (16, 10)


@pytest.mark.usefixtures("strange")
def test_declared_losses_leave_the_run_whole(strange_suite: Callable[..., Suite], tmp_path: Path):
    found = run(strange_suite(takes=1, allowed_losses=3), tmp_path / "run", store=Store(tmp_path / "store"))
    assert found.stages["generate"] == "done"
    assert found.system("strange").result("nan[health]").counts.generated == 5  # type: ignore[union-attr]


@pytest.mark.usefixtures("strange")
def test_lost_clips_are_tried_again_and_kept_ones_are_not(
    strange_suite: Callable[..., Suite], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = Store(tmp_path / "store")
    first = run(strange_suite(takes=1), tmp_path / "run", store=store)
    caplog.clear()
    again = run(strange_suite(takes=1), tmp_path / "run", store=store)
    assert again.systems == first.systems
    assert sorted({record.getMessage()[:2] for record in caplog.records}) == ["p1", "p3", "p4"]


@pytest.mark.usefixtures("strange")
def test_a_plug_in_that_cannot_be_imported_is_named(strange_suite: Callable[..., Suite], make_suite: Any):
    with pytest.raises(SuiteError, match=r"'broken' \(no_such_module:Settings\) cannot be imported"):
        make_suite(generators={"x": {"kind": "broken"}})


def test_a_metric_that_cannot_be_had_is_a_failure_with_its_reason(
    make_suite: Callable[..., Suite], finished: tuple[Path, Store], tmp_path: Path
):
    metrics = [{"kind": "alignment", "extractor": "mel"}, {"kind": "frechet", "extractor": "mel"}]
    found = run(make_suite(metrics=metrics), tmp_path / "run", store=finished[1])
    for system in found.systems:
        alignment, distance, _ = system.results
        assert isinstance(alignment, Failure)
        assert alignment.reason
        assert isinstance(distance, Measurement)


def small_disk() -> None:
    """Refuses files beyond a few kilobytes, in the middle of a write, as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))


def test_a_full_disk_stops_with_a_message_and_keeps_what_was_made(
    model: Path, finished: tuple[Path, Store], tmp_path: Path
):
    suite = write_suite(tmp_path / "suite.yaml", suite_data(model))
    command = [sys.executable, str(PROGRAM), str(suite), str(tmp_path / "run"), str(tmp_path / "store"), "1"]
    full = subprocess.run(
        command, preexec_fn=small_disk, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert full.returncode != 0
    message = full.stderr.decode().strip().splitlines()[-1]
    assert message.startswith("arc_eval.errors.StoreError: ")
    assert "What was finished is kept" in message
    assert Run.read(tmp_path / "run").stages["generate"].startswith("failed: ")
    run(load_suite(suite), tmp_path / "run", store=Store(tmp_path / "store"))
    assert outcome(tmp_path / "run") == outcome(finished[0])
