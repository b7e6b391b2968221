"""A Run holds every planned clip, names what it rests on, and repeats nothing that it holds."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import outcome

from arc_eval.dsp import read_audio, samples_digest, write_audio
from arc_eval.errors import CheckpointError, DataError, RunError
from arc_eval.pipeline import plan
from arc_eval.pipeline.bench import bench
from arc_eval.pipeline.folder import RunFolder, opened
from arc_eval.pipeline.plan import planned
from arc_eval.pipeline.run import run
from arc_eval.records.measurement import Measurement
from arc_eval.records.parquet import read_clips, read_influence, read_scores
from arc_eval.records.prompt import Prompt
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite

Make = Callable[..., Suite]


def files(store: Store, kind: str) -> dict[Path, int]:
    """Every file of a kind in the store and when it was written."""
    return {path: path.stat().st_mtime_ns for path in (store.root / kind).rglob("*.*")}


def test_every_planned_clip_has_a_row_and_its_audio(finished: tuple[Path, Store]):
    folder, _ = finished
    rows = read_clips(folder)
    assert len(rows) == 4 * 6 * 2
    assert len({(row.system, row.clip) for row in rows}) == len(rows)
    for row in rows:
        assert row.status == "ok"
        samples, rate = read_audio(folder / row.path)
        assert samples_digest(samples, rate) == row.digest
        assert row.seconds == pytest.approx(0.25)
        assert row.peak == pytest.approx(float(samples.abs().max()), abs=1e-6)


def test_results_of_every_system_have_counts_and_an_interval_or_a_reason(finished: tuple[Path, Store]):
    found = Run.read(finished[0])
    assert set(found.stages.values()) == {"done"}
    assert [system.name for system in found.systems] == ["recordings", "shuffled", "many-steps", "few-steps"]
    for system in found.systems:
        assert {"fd[mel]", "ccds[mel]", "nan[health]"} <= {result.metric for result in system.results}
        for result in system.results:
            assert isinstance(result, Measurement)
            assert (result.counts.planned, result.counts.generated) == (12, 12)
            assert result.interval is not None or result.no_interval


def test_a_run_says_where_it_came_from(finished: tuple[Path, Store]):
    found = Run.read(finished[0])
    assert found.machine.cpu and found.machine.cores >= 1
    assert {"arc_eval", "torch", "numpy"} <= found.versions.keys()
    assert found.fingerprints.keys() == {"mel", "health"}
    assert found.system("few-steps").lineage["recipe"] == "random"  # type: ignore[union-attr]
    assert found.suite_digest and found.prompts_digest


def test_scores_by_clip_have_the_mean_that_the_result_states(finished: tuple[Path, Store]):
    found = Run.read(finished[0])
    scores = [
        row.score
        for row in read_scores(finished[0])
        if (row.system, row.metric) == ("few-steps", "ccds[mel]")
    ]
    assert len(scores) == 12
    result = found.system("few-steps").result("ccds[mel]")  # type: ignore[union-attr]
    assert isinstance(result, Measurement)
    assert result.value == pytest.approx(sum(scores) / len(scores))


def test_influences_of_prompts_have_the_mean_that_the_result_states(finished: tuple[Path, Store]):
    found = Run.read(finished[0])
    pulls: dict[tuple[str, str], list[float]] = {}
    for row in read_influence(finished[0]):
        pulls.setdefault((row.system, row.metric), []).append(row.value)
    assert ("few-steps", "fd[mel]") in pulls
    assert ("few-steps", "ccds[mel]") not in pulls  # it has scores of clips
    for (system, metric), values in pulls.items():
        result = found.system(system).result(metric)  # type: ignore[union-attr]
        assert isinstance(result, Measurement)
        assert result.value == pytest.approx(sum(values) / len(values), abs=1e-9)
        assert not result.influence, "it is in the table, not in run.json"


def test_controls_are_the_same_recordings_under_their_own_and_under_other_captions(
    finished: tuple[Path, Store],
):
    rows = read_clips(finished[0])
    ceiling = {row.clip: row for row in rows if row.system == "recordings"}
    floor = {row.clip: row for row in rows if row.system == "shuffled"}
    assert sorted(row.digest for row in ceiling.values()) == sorted(row.digest for row in floor.values())
    owner = {row.digest: row for row in ceiling.values()}
    for clip, row in floor.items():
        assert owner[row.digest].clip != clip
        assert not set(owner[row.digest].tags.split("|")) & set(row.tags.split("|"))


def test_the_number_of_workers_changes_nothing(
    finished: tuple[Path, Store], make_suite: Make, tmp_path: Path
):
    run(make_suite(), tmp_path / "run", store=Store(tmp_path / "store"), workers=2)
    assert outcome(tmp_path / "run") == outcome(finished[0])


def test_a_second_run_writes_nothing_new(make_suite: Make, finished: tuple[Path, Store], tmp_path: Path):
    store = finished[1]
    before = {kind: files(store, kind) for kind in ("clips", "embeddings", "scores")}
    run(make_suite(), tmp_path / "again", store=store)
    assert {kind: files(store, kind) for kind in before} == before
    assert outcome(tmp_path / "again") == outcome(finished[0])


def test_one_generators_new_steps_make_only_its_clips(
    model: Path, finished: tuple[Path, Store], make_suite: Make, tmp_path: Path
):
    store = finished[1]
    before = files(store, "clips")
    latent = {"kind": "latent", "weights": str(model)}
    changed = make_suite(
        generators={
            "many-steps": {**latent, "sampler": "euler", "steps": 3, "guidance": 2.0},
            "few-steps": {**latent, "sampler": "pingpong", "steps": 1},
        }
    )
    run(changed, tmp_path / "run", store=store)
    new = {path.stem for path in files(store, "clips").keys() - before.keys()}
    assert new == {row.key for row in read_clips(tmp_path / "run") if row.system == "few-steps"}
    assert all(files(store, "clips")[path] == written for path, written in before.items())


def test_a_limit_takes_the_first_prompts(make_suite: Make, finished: tuple[Path, Store], tmp_path: Path):
    run(make_suite(), tmp_path / "run", store=finished[1], limit=2)
    few = read_clips(tmp_path / "run")
    assert len({row.prompt for row in few}) == 2
    assert {row.digest for row in few if row.system == "few-steps"} <= {
        row.digest for row in read_clips(finished[0])
    }


def test_takes_of_a_prompt_differ(finished: tuple[Path, Store]):
    rows = [row for row in read_clips(finished[0]) if row.system == "many-steps"]
    assert len({row.seed for row in rows}) == len({row.digest for row in rows}) == len(rows)


@pytest.mark.parametrize("damage", ["cut", "flip", "facts"])
def test_a_damaged_clip_is_made_again(
    damage: str, make_suite: Make, finished: tuple[Path, Store], tmp_path: Path, caplog
):
    suite, store = make_suite(controls={}), Store(tmp_path / "store")
    run(suite, tmp_path / "run", store=store)
    row = read_clips(tmp_path / "run")[3]
    path = store.path("clips", row.key, ".json" if damage == "facts" else ".flac")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[:-9] if damage == "cut" else content)
    run(suite, tmp_path / "run", store=store)
    assert str(path) in caplog.text
    assert read_clips(tmp_path / "run")[3] == row
    samples, rate = read_audio(tmp_path / "run" / row.path)
    assert samples_digest(samples, rate) == row.digest


def test_two_processes_do_not_write_one_folder(make_suite: Make, tmp_path: Path):
    with opened(tmp_path / "run"), pytest.raises(RunError, match=f"process {os.getpid()} is writing"):
        run(make_suite(), tmp_path / "run", store=Store(tmp_path / "store"))


def test_a_folder_of_something_else_is_left_alone(make_suite: Make, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="not a Run folder"):
        run(make_suite(), tmp_path / "mine", store=Store(tmp_path / "store"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_bad_checkpoint_is_found_before_anything_is_computed(make_suite: Make, tmp_path: Path):
    absent = {"kind": "latent", "weights": str(tmp_path / "absent"), "sampler": "euler", "steps": 1}
    with pytest.raises(CheckpointError, match="absent"):
        run(make_suite(generators={"absent": absent}), tmp_path / "run", store=Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_duplicate_prompt_ids_are_refused(make_suite: Make, tmp_path: Path):
    (tmp_path / "prompts.csv").write_text("id,caption,seconds\na,a bell,0.2\nb,a kick,0.2\na,a siren,0.2\n")
    suite = make_suite(prompts={"kind": "folder", "path": str(tmp_path / "prompts.csv")}, controls={})
    with pytest.raises(DataError, match=r"\ba\b"):
        run(suite, tmp_path / "run", store=Store(tmp_path / "store"))


def test_threads_of_the_process_are_as_they_were(
    make_suite: Make, finished: tuple[Path, Store], tmp_path: Path
):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(make_suite(), tmp_path / "run", store=finished[1], limit=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_suite_that_cannot_be_run_leaves_the_finished_run_as_it_was(
    make_suite: Make, finished: tuple[Path, Store], tmp_path: Path
):
    run(make_suite(), tmp_path / "run", store=finished[1])
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.name != ".lock"}
    absent = {"kind": "latent", "weights": str(tmp_path / "absent"), "sampler": "euler", "steps": 1}
    for evaluate in (partial(run, store=finished[1]), bench):
        suite = make_suite(generators={"absent": absent}, bench={"target": {"kind": "local"}})
        with pytest.raises(CheckpointError):
            evaluate(suite, tmp_path / "run")
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*.*") if p.name != ".lock"} == before


def test_a_run_begun_again_holds_no_result_and_no_table_of_the_one_before(
    make_suite: Make, finished: tuple[Path, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(make_suite(), tmp_path / "run", store=finished[1])
    forget, said = RunFolder.forget_tables, []

    def forgotten(folder: RunFolder) -> None:
        said.append(Run.read(folder.path))  # already the new record: tables never outlive what they are of
        forget(folder)

    def killed(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "forget_tables", forgotten)
    monkeypatch.setattr("arc_eval.pipeline.run.generate", killed)
    with pytest.raises(KeyboardInterrupt):
        run(make_suite(), tmp_path / "run", store=finished[1])
    [begun], left = said, Run.read(tmp_path / "run")
    assert set(begun.stages.values()) == {"waiting"}
    assert left.stages == {
            "canaries": "done", "generate": "running", "extract": "waiting", "score": "waiting"
        }  # fmt: skip
    assert not any(system.results for system in (*begun.systems, *left.systems))
    assert not list((tmp_path / "run").glob("*.parquet"))


def test_other_code_for_files_makes_other_clips(
    make_suite: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "given").mkdir()
    write_audio(tmp_path / "given" / "a.wav", torch.zeros(2, 800) + 0.1, 8000)
    made = make_suite().generators
    generators = {
        "few-steps": made["few-steps"].data(),
        "given": {"kind": "folder", "path": tmp_path / "given"},
    }
    suite = make_suite(generators=json.loads(json.dumps(generators, default=str)))
    prompts = [Prompt("a", "a bell", 0.1)]
    chosen = suite.model_copy(update={"controls": {}})

    def keys() -> list[str]:
        return [job.key for system in planned(chosen, prompts, "cpu") for job in system.jobs if job.key]

    before = keys()
    assert len(before) == 3 and keys() == before
    real = plan.source_digest
    monkeypatch.setattr(plan, "source_digest", lambda *modules: real(*modules) + "changed")
    assert not set(keys()) & set(before)
    assert "arc_eval.dsp" in plan.STORED


def test_a_run_names_its_reference_its_recordings_and_the_settings_of_its_metrics(
    finished: tuple[Path, Store], make_suite: Make, tmp_path: Path
):
    found = Run.read(finished[0])
    assert found.metric_settings.keys() == set(found.metrics())
    assert found.metric_settings["fd[mel]"].items() >= {"kind": "frechet", "extractor": "mel"}.items()
    source = {"kind": "synthetic", "seconds": 0.25, "takes": 2, "split": "reference", "count": 11}
    other = run(make_suite(reference=source), tmp_path / "run", store=finished[1])
    assert found.reference_digest and other.reference_digest != found.reference_digest
    assert found.recordings_digest and other.recordings_digest == found.recordings_digest
