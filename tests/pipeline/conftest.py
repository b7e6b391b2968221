"""One random model and one finished Run, shared by the tests of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_suites import save_random_model, suite_data, write_suite

from arc_eval.pipeline.run import run
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite, load_suite


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture
def make_suite(model: Path, tmp_path: Path) -> Callable[..., Suite]:
    """The tiny suite with some top-level keys replaced."""

    def make(**changes: Any) -> Suite:
        return load_suite(write_suite(tmp_path / "suite.yaml", suite_data(model, **changes)))

    return make


@pytest.fixture(scope="session")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    """The Run folder and the store of the tiny suite, run without interruption. Look, do not touch."""
    folder = tmp_path_factory.mktemp("finished")
    suite = load_suite(write_suite(folder / "suite.yaml", suite_data(model)))
    store = Store(folder / "store")
    run(suite, folder / "run", store=store)
    return folder / "run", store


TIMED = ("latency", "stage_", "rtf", "cpu_", "peak_memory")


def outcome(folder: Path) -> tuple[Any, ...]:
    """Everything in a Run that does not depend on the clock."""
    from arc_eval.records.parquet import read_clips, read_scores

    found = Run.read(folder)
    systems = [
        (s.name, s.role, s.identity, [result for result in s.results if not result.metric.startswith(TIMED)])
        for s in found.systems
    ]
    clips, scores = read_clips(folder), read_scores(folder)
    audio = sorted(path.name for path in (folder / "audio").iterdir())
    return systems, clips, scores, audio, found.stages["generate"], found.prompts_digest
