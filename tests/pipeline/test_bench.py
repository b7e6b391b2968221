"""Speed is measured call by call in processes of their own; raw trials are kept and never made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arc_eval.errors import SuiteError
from arc_eval.pipeline.bench import bench
from arc_eval.pipeline.run import run
from arc_eval.pipeline.speed import speed_results
from arc_eval.records.measurement import Failure, Measurement
from arc_eval.records.parquet import read_trials
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite

Make = Callable[..., Suite]
BENCH = {"target": {"kind": "local", "threads": 1}, "warmup": 1, "trials": 7}


@pytest.fixture(scope="module")
def benched(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_suites import suite_data, write_suite

    from arc_eval.suite import load_suite

    folder = tmp_path_factory.mktemp("benched")
    suite = load_suite(write_suite(folder / "suite.yaml", suite_data(model, bench=BENCH)))
    run(suite, folder / "run", store=Store(folder / "store"))
    return folder


def test_every_generator_has_every_trial_and_every_step_of_it(benched: Path):
    rows = read_trials(benched / "run")
    for system, steps in {"many-steps": 3, "few-steps": 2}.items():
        mine = [row for row in rows if row.system == system]
        assert {row.trial for row in mine} == set(range(7))
        for trial in range(7):
            stages = [(row.stage, row.index) for row in mine if row.trial == trial]
            expected = [("total", 0), ("text", 0), *(("step", i) for i in range(steps)), ("decode", 0)]
            assert stages == expected
    assert {row.system for row in rows} == {"many-steps", "few-steps"}


def test_stages_fill_the_call_they_are_in(benched: Path):
    rows = read_trials(benched / "run")
    for total in (row for row in rows if row.stage == "total"):
        stages = sum(
            r.seconds
            for r in rows
            if (r.system, r.trial) == (total.system, total.trial) and r.stage != "total"
        )
        assert 0 < stages <= total.seconds


def test_every_trial_has_its_own_prompt(benched: Path):
    prompts = [
        row.prompt
        for row in read_trials(benched / "run")
        if row.stage == "total" and row.system == "few-steps"
    ]
    assert len(set(prompts)) == 6  # seven trials over the suite's six prompts


def test_results_follow_from_the_raw_trials(benched: Path):
    system = Run.read(benched / "run").system("few-steps")
    assert system is not None
    results = {result.metric: result for result in system.results}
    seconds = sorted(
        row.seconds
        for row in read_trials(benched / "run")
        if row.stage == "total" and row.system == "few-steps"
    )
    latency = results["latency_p50"]
    assert isinstance(latency, Measurement)
    assert latency.value == seconds[3]
    assert latency.interval is not None
    assert (latency.interval.low, latency.interval.high) == (seconds[0], seconds[-1])
    rate = results["rtf"]
    assert isinstance(rate, Measurement)
    assert rate.value == pytest.approx(0.25 / latency.value)
    assert {"stage_text_p50", "stage_step_p50", "stage_decode_p50", "peak_memory"} <= results.keys()


def test_controls_are_not_timed(benched: Path):
    for name in ("recordings", "shuffled"):
        system = Run.read(benched / "run").system(name)
        assert system is not None
        assert not any(result.metric.startswith(("latency", "rtf")) for result in system.results)


def test_a_finished_run_keeps_its_trials_and_a_changed_generator_is_timed_anew(
    benched: Path, make_suite: Make, model: Path, tmp_path: Path
):
    before = read_trials(benched / "run")
    suite = make_suite(bench=BENCH)
    run(suite, benched / "run", store=Store(benched / "store"))
    assert read_trials(benched / "run") == before
    changed = suite.data()
    changed["generators"]["few-steps"]["steps"] = 1
    from tiny_suites import write_suite

    from arc_eval.suite import load_suite

    run(
        load_suite(write_suite(tmp_path / "changed.yaml", changed)),
        benched / "run",
        store=Store(benched / "store"),
    )
    after = read_trials(benched / "run")
    assert [row for row in after if row.system == "many-steps"] == [
        r for r in before if r.system == "many-steps"
    ]
    assert sum(row.stage == "step" for row in after if row.system == "few-steps") == 7
    run(suite, benched / "run", store=Store(benched / "store"))  # as the other tests know it


def test_a_generator_that_fails_marks_only_itself(make_suite: Make, tmp_path: Path):
    suite = make_suite(bench={**BENCH, "trials": 1})
    data = suite.data()
    data["prompts"]["seconds"] = data["reference"]["seconds"] = 0.3  # longer than the model can make
    from tiny_suites import write_suite

    from arc_eval.suite import load_suite

    found = bench(load_suite(write_suite(tmp_path / "long.yaml", data)), tmp_path / "run")
    for system in found.systems:
        failure = system.result("latency_p50")
        assert isinstance(failure, Failure)
        assert "asks for 0.3 s" in failure.reason


def test_a_suite_without_bench_is_refused(make_suite: Make, tmp_path: Path):
    with pytest.raises(SuiteError, match="add `bench"):
        bench(make_suite(), tmp_path / "run")


def trials(seconds: list[float]) -> list[dict[str, Any]]:
    return [
        {"seconds": s, "cpu_seconds": s, "peak_bytes": 1000, "audio_seconds": 2.0,
         "stages": [["text", s / 4], ["step", s / 4], ["step", s / 4], ["decode", s / 4]]}
        for s in seconds
    ]  # fmt: skip


def test_percentiles_are_printed_only_where_their_number_supports_them():
    few = {result.metric: result for result in speed_results(trials([1.0, 2.0, 3.0]))}
    for metric in ("latency_p50", "stage_step_p50", "rtf", "cpu_p50"):
        failure = few[metric]
        assert isinstance(failure, Failure)
        assert "at least 7" in failure.reason
    assert "latency_p90" not in few
    many = {result.metric: result for result in speed_results(trials([float(n) for n in range(1, 102)]))}
    assert many["latency_p90"].value == pytest.approx(91.0)  # type: ignore[union-attr]
    assert many["latency_p90"].interval is not None  # type: ignore[union-attr]


def test_a_steps_time_is_of_one_step():
    results = {result.metric: result for result in speed_results(trials([4.0] * 7))}
    assert results["stage_step_p50"].value == 1.0  # type: ignore[union-attr]
    assert results["stage_text_p50"].value == 1.0  # type: ignore[union-attr]


def test_two_equal_generators_keep_trials_of_their_own(model: Path, make_suite: Make, tmp_path: Path):
    same = {"kind": "latent", "weights": str(model), "sampler": "pingpong", "steps": 1}
    suite = make_suite(generators={"a": same, "b": same}, bench={**BENCH, "trials": 2})
    bench(suite, tmp_path / "run")
    before = read_trials(tmp_path / "run")
    seconds = {name: [row.seconds for row in before if row.system == name] for name in ("a", "b")}
    assert seconds["a"] != seconds["b"]
    bench(suite, tmp_path / "run")
    assert read_trials(tmp_path / "run") == before


def test_trials_of_other_seeds_are_taken_anew(make_suite: Make, tmp_path: Path):
    suite = make_suite(bench={**BENCH, "trials": 1})
    bench(suite, tmp_path / "run")
    before = {path.name for path in (tmp_path / "run" / "trials").iterdir()}
    bench(suite.model_copy(update={"seed": 8}), tmp_path / "run")
    assert not before & {path.name for path in (tmp_path / "run" / "trials").iterdir()}
