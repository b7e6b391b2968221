"""A suite that has statistics in the place of recordings measures what it can as if the audio were there."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from test_missing_recordings import measured, suite_file
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.errors import DataError, IncompleteError, NotComparableError, SuiteError
from arc_eval.gate.comparison import compare
from arc_eval.pipeline.run import run
from arc_eval.pipeline.score import score_folder
from arc_eval.pipeline.summarise import folder_set, summarise
from arc_eval.records.measurement import Failure
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite, load_suite
from arc_eval.summaries import read_summaries, write_summaries


def changed(suite: Path, **changes: Any) -> Suite:
    """The suite with some keys replaced; None takes one away."""
    data = {**yaml.safe_load(suite.read_text()), **changes}
    other = suite.with_name("changed.yaml")
    other.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return load_suite(other)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the suite, the Run by its recordings, and the statistics of these in `kept`."""
    place = tmp_path_factory.mktemp("kept")
    suite = changed(suite_file(place), controls={}, metrics=METRICS)
    store = Store(place / "store")
    run(suite, place / "live", store=store)
    write_summaries(place / "kept.safetensors", summarise(suite, store=store))
    return place


METRICS = [
    {"kind": "frechet", "extractor": "mel"},
    {"kind": "label_kl", "extractor": "tiny-tagger"},
    {"kind": "alignment", "extractor": "tiny-clap"},
    {"kind": "sliced_wasserstein", "extractor": "mel", "directions": 4},
]


@pytest.fixture(scope="module")
def kept(made: Path) -> Run:
    """The Run by the statistics; the recordings are nowhere to be found."""
    (made / "sounds").rename(made / "gone")
    source = {"kind": "statistics", "path": str(made / "kept.safetensors")}
    suite = changed(made / "suite.yaml", controls={}, metrics=METRICS, reference=source, recordings=source)
    found = run(suite, made / "kept", store=Store(made / "other store"))
    (made / "gone").rename(made / "sounds")
    return found


def test_numbers_are_those_of_the_recordings(made: Path, kept: Run):
    live = Run.read(made / "live")
    for metric in ("fd[mel]", "fd_bias[mel]", "kl[tiny-tagger]", "kl_chance[tiny-tagger]", "clap[tiny-clap]"):
        ours, theirs = measured(kept, "clips", metric), measured(live, "clips", metric)
        assert ours.value == pytest.approx(theirs.value, rel=1e-9), metric
        assert ours.counts == theirs.counts
    assert (kept.reference_digest, kept.recordings_digest) == (live.reference_digest, live.recordings_digest)
    both = {item.metric: item.value for item in compare(made / "live", made / "kept").differences}
    assert both["fd[mel]"] == pytest.approx(0, abs=1e-6) and "kl[tiny-tagger]" in both


def test_what_needs_rows_fails_with_the_reason(kept: Run):
    result = kept.systems[0].result("sw2[mel]")
    assert isinstance(result, Failure)
    assert "this needs recordings' rows: let `reference` name the audio" in result.reason
    assert set(kept.stages.values()) == {"done"}


def test_the_run_says_what_it_was_judged_by(made: Path, kept: Run):
    assert Run.read(made / "kept").remarks == kept.remarks
    assert "reference: kept statistics, no recordings: no canary could be made of them" in kept.remarks
    assert {name: one.recordings for name, one in kept.missing.items()} == {
        "reference": ("r0",),
        "recordings of the prompts": ("r0",),
    }


def test_an_extractor_that_listens_otherwise_is_refused_before_anything_is_made(made: Path):
    content = read_summaries(made / "kept.safetensors")
    mel = content.by_extractor["mel"]
    other = replace(mel, fingerprint={**mel.fingerprint, "resampler": "another"})
    write_summaries(made / "other.safetensors", replace(content, by_extractor={"mel": other}))
    source = {"kind": "statistics", "path": str(made / "other.safetensors")}
    suite = changed(made / "suite.yaml", controls={}, reference=source, metrics=METRICS[:1])
    with pytest.raises(NotComparableError, match=r"mel listens .* resampler: 'another' there, .* here$"):
        run(suite, made / "refused", store=Store(made / "store"))
    assert Run.read(made / "refused").stages["generate"] == "waiting"


def test_a_recording_that_is_neither_kept_nor_declared_is_a_loss(made: Path):
    source = {"kind": "statistics", "path": str(made / "kept.safetensors")}
    (made / "longer.csv").write_text((made / "list.csv").read_text() + "99,new,0,a new sound\n")
    prompts = {"kind": "audiocaps", "csv": str(made / "longer.csv"), "seconds": 0.1}
    suite = changed(
        made / "suite.yaml",
        prompts=prompts,
        controls={},
        metrics=METRICS[1:2],
        recordings=source,
        allowed_losses=1,
    )
    found = run(suite, made / "longer", store=Store(made / "store"))
    assert "recordings of the prompts: 1 not described by tiny-tagger" in found.stages["extract"]
    assert "99#0: the kept statistics have no recording 'new'" in found.stages["extract"]
    assert measured(found, "clips", "kl[tiny-tagger]").counts.scored == 14


def test_nothing_is_kept_of_a_set_that_is_not_whole(tmp_path: Path):
    suite = changed(suite_file(tmp_path), controls={})
    (tmp_path / "sounds" / "r3.wav").unlink()
    with pytest.raises(IncompleteError, match=r"1 of 7 recordings were not described by mel; 30: .*declare"):
        summarise(suite, store=Store(tmp_path / "store"))


def test_several_takes_of_a_recording_are_kept(tmp_path: Path):
    source = {"kind": "synthetic", "seconds": 0.25, "takes": 2, "split": "test", "count": 4}
    extractors = {"tagger": {"kind": "tiny-tagger"}}
    (tmp_path / "suite.yaml").write_text(
        yaml.safe_dump({"name": "takes", "prompts": source, "reference": source, "extractors": extractors})
    )
    found = summarise(load_suite(tmp_path / "suite.yaml"), "recordings", store=Store(tmp_path / "store"))
    summary = found.by_extractor["tagger"]
    assert summary.labels is not None and summary.moments is not None
    names = [prompt.id for prompt in load_suite(tmp_path / "suite.yaml").prompts.build().prompts()]
    assert sorted(summary.labels.owners) == sorted(f"{name}#{take}" for name in names for take in range(2))
    assert summary.moments.clips == 4


def test_a_folder_is_kept_by_the_command_line(tmp_path: Path):
    suite_file(tmp_path)
    names = sorted(path.name for path in (tmp_path / "sounds").iterdir())
    (tmp_path / "sounds" / "metadata.csv").write_text(
        "file_name,caption\n" + "".join(f"{name},a sound\n" for name in names)
    )
    out = tmp_path / "kept.safetensors"
    words = [
        "reference",
        str(tmp_path / "sounds"),
        "--out",
        str(out),
        "--extractors",
        "mel,tiny-tagger",
        "--quiet",
    ]
    left = CliRunner().invoke(app, [*words, "--json"])
    assert left.exit_code == 0, left.output
    said = json.loads(left.output)
    assert [(row["extractor"], row["recordings"], row["labels"]) for row in said["extractors"]] == [
        ("mel", 7, 0),
        ("tiny-tagger", 7, 7),
    ]
    assert said["bytes"] == out.stat().st_size
    assert str(tmp_path).encode() not in out.read_bytes()
    assert read_summaries(out).identity == dict(
        folder_set(tmp_path / "sounds", ["mel"]).reference.build().identity()
    )


def test_a_folder_needs_extractors_and_a_set_needs_recordings(made: Path, tmp_path: Path):
    with pytest.raises(SuiteError, match="say which extractors"):
        folder_set(tmp_path, [])
    source = {"kind": "statistics", "path": str(made / "kept.safetensors")}
    with pytest.raises(DataError, match="no recordings"):
        summarise(
            changed(made / "suite.yaml", controls={}, reference=source), store=Store(tmp_path / "store")
        )


def test_published_files_are_adopted_under_the_suites_extractors(made: Path, tmp_path: Path):
    content = read_summaries(made / "kept.safetensors").by_extractor
    moments, labels = content["mel"].moments, content["tiny-tagger"].labels
    assert moments is not None and labels is not None
    np.savez(tmp_path / "r.npz", mu_ref=moments.mean.numpy(), sigma_ref=moments.covariance.numpy())
    rows = dict(zip(labels.owners, labels.values.softmax(1), strict=True))
    prompts = load_suite(made / "suite.yaml").prompts.build().prompts()
    published = {int(p.id): rows[f"{p.unit}#0"].clone() for p in prompts if f"{p.unit}#0" in rows}
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(published, protocol=4))
    out = tmp_path / "adopted.safetensors"
    words = [
        "reference",
        str(made / "suite.yaml"),
        "--out",
        str(out),
        "--from-npz",
        f"mel={tmp_path / 'r.npz'}",
    ]
    left = CliRunner().invoke(app, [*words, "--from-pickle", f"tiny-tagger={tmp_path / 'p.pkl'}", "--json"])
    assert left.exit_code == 0, left.output
    source = {"kind": "statistics", "path": str(out)}
    suite = changed(
        made / "suite.yaml", controls={}, metrics=METRICS[:2], reference=source, recordings=source
    )
    found, live = run(suite, tmp_path / "run", store=Store(made / "store")), Run.read(made / "live")
    assert set(found.stages.values()) == {"done"}
    for metric, near in (("fd[mel]", 1e-9), ("kl[tiny-tagger]", 1e-5)):
        ours, theirs = measured(found, "clips", metric), measured(live, "clips", metric)
        assert ours.value == pytest.approx(theirs.value, rel=near)
        assert ours.counts == theirs.counts
    # What others made is never held to be what was made here.
    assert found.reference_digest != live.reference_digest
    assert any("r.npz" in remark and "declared, not measured" in remark for remark in found.remarks)
    assert found.missing["reference"].recordings == ("r0",)


def test_files_are_adopted_only_where_they_fit(made: Path, tmp_path: Path):
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({1: torch.ones(4) / 4}, protocol=4))
    for words, said in (
        ([f"tiny-tagger={tmp_path / 'p.pkl'}"], "4 classes, where tiny-tagger hears "),
        ([f"tagger={tmp_path / 'p.pkl'}"], "did you mean 'tiny-tagger'"),
        ([f"{tmp_path / 'p.pkl'}"], "write EXTRACTOR=FILE"),
    ):
        out = tmp_path / "adopted.safetensors"
        given = ["reference", str(made / "suite.yaml"), "--out", str(out), "--from-pickle", *words]
        left = CliRunner().invoke(app, given)
        assert left.exit_code in (2, 4) and said in left.output
        assert not out.exists()


def test_a_folder_is_judged_by_kept_statistics(made: Path, tmp_path: Path):
    lines = [f"{name}.wav,a sound" for name in ("10", "11", "20", "21", "30", "31", "40", "41")]
    (tmp_path / "prompts.csv").write_text("\n".join(["file_name,caption", *lines]) + "\n")
    found = score_folder(
        made / "clips",
        tmp_path / "prompts.csv",
        made / "kept.safetensors",
        tmp_path / "run",
        metrics=["frechet[mel]", "health"],
        store=Store(made / "store"),
    )
    assert set(found.stages.values()) == {"done"}
    assert measured(found, "clips", "fd[mel]").counts.scored == 8
