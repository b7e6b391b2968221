"""Recordings with several captions are heard and counted once; those that lack are declared, or a loss."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import torch
import yaml

from arc_eval.cli.results import complete, run_text
from arc_eval.data import folder as folder_data
from arc_eval.dsp import write_audio
from arc_eval.gate.comparison import Side, difference
from arc_eval.pipeline.items import paired_items, reference_items
from arc_eval.pipeline.plan import chosen_prompts, planned
from arc_eval.pipeline.run import run
from arc_eval.records.measurement import Measurement
from arc_eval.records.parquet import read_clips, read_influence
from arc_eval.records.run import Run
from arc_eval.report import write
from arc_eval.report.source import read_sources
from arc_eval.store import Store, digest_of
from arc_eval.suite import Suite, load_suite, prompts_digest

RECORDINGS = 8
RATE = 16000


def noise(seed: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return (0.1 + 0.05 * (seed % 7)) * torch.randn(1, 1600, generator=stream).clamp(-2, 2)


def suite_file(tmp_path: Path) -> Path:
    """Eight recordings with two captions each, of which one is declared missing; a clip for each caption."""
    (tmp_path / "sounds").mkdir()
    (tmp_path / "clips").mkdir()
    lines = ["audiocap_id,youtube_id,start_time,caption"]
    for number in range(RECORDINGS):
        if number:
            write_audio(tmp_path / "sounds" / f"r{number}.wav", noise(number), RATE)
        for caption in range(2):
            lines.append(f"{number}{caption},r{number},0,caption {caption} of sound {number}")
            write_audio(
                tmp_path / "clips" / f"{number}{caption}.wav", noise(100 + 2 * number + caption), RATE
            )
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "lost.txt").write_text("r0\n")
    audio = {"audio": str(tmp_path / "sounds"), "missing": str(tmp_path / "lost.txt")}
    source = {"kind": "audiocaps", "csv": str(tmp_path / "list.csv"), "seconds": 0.1}
    suite: dict[str, Any] = {
        "name": "captions",
        "takes": 1,
        "canaries": 0,
        "prompts": source,
        "reference": {**source, **audio},
        "recordings": {**source, **audio},
        "controls": {"real": "ceiling", "wrong": "floor"},
        "generators": {"clips": {"kind": "folder", "path": str(tmp_path / "clips")}},
        "extractors": {name: {"kind": name} for name in ("mel", "tiny-tagger", "tiny-clap")},
        "metrics": [
            {"kind": "frechet", "extractor": "mel"},
            {"kind": "label_kl", "extractor": "tiny-tagger"},
            {"kind": "alignment", "extractor": "tiny-clap"},
        ],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    return tmp_path / "suite.yaml"


def measured(found: Run, system: str, metric: str) -> Measurement:
    row = found.system(system)
    result = row.result(metric) if row else None
    assert isinstance(result, Measurement), result
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Run folder of that suite."""
    place = tmp_path_factory.mktemp("captions")
    run(load_suite(suite_file(place)), place / "run", store=Store(place / "store"))
    return place / "run"


@pytest.fixture
def found(folder: Path) -> Run:
    return Run.read(folder)


def test_declared_recordings_cost_only_what_needs_them(found: Run):
    assert set(found.stages.values()) == {"done"}
    planned_, kept = 2 * RECORDINGS, 2 * (RECORDINGS - 1)
    for metric, scored in (("fd[mel]", planned_), ("clap[tiny-clap]", planned_), ("kl[tiny-tagger]", kept)):
        counts = measured(found, "clips", metric).counts
        assert (counts.planned, counts.generated, counts.scored) == (planned_, planned_, scored)
    for control in ("real", "wrong"):
        counts = measured(found, control, "clap[tiny-clap]").counts
        assert (counts.planned, counts.scored) == (kept, kept)


def test_the_run_and_its_report_say_what_was_declared(found: Run, folder: Path, tmp_path: Path):
    said = (
        f"1 of {RECORDINGS} recordings are declared missing (lost.txt), which leaves 2 captions without one."
    )
    assert {name: missing.recordings for name, missing in found.missing.items()} == {
        "reference": ("r0",),
        "recordings of the prompts": ("r0",),
    }
    sentence = f"reference, recordings of the prompts: {said}"
    for file in write([folder], formats=["md", "tex"], out=tmp_path):
        assert file.suffix == ".svg" or sentence in file.read_text(), file
    (source,) = read_sources([folder])
    assert sentence in run_text(source).splitlines()


def test_intervals_count_recordings(found: Run, folder: Path):
    of = {
        "fd[mel]": f"influence of {RECORDINGS} recordings, reference fixed",
        "kl[tiny-tagger]": f"BCa bootstrap over {RECORDINGS - 1} recordings, 2000 resamples",
        "clap[tiny-clap]": f"BCa bootstrap over {RECORDINGS} recordings, 2000 resamples",
    }
    for metric, method in of.items():
        interval = measured(found, "clips", metric).interval
        assert interval is not None and interval.method == method
    units = {row.unit for row in read_influence(folder) if row.metric == "fd[mel]"}
    assert units == {f"recording:r{number}" for number in range(RECORDINGS)}
    assert {row.recording for row in read_clips(folder)} == {f"r{n}" for n in range(RECORDINGS)}


def test_comparisons_pair_recordings(folder: Path):
    side = Side.read(folder)
    for metric in ("fd[mel]", "clap[tiny-clap]"):
        change = difference(side, "real", side, "wrong", metric)
        assert change.pairing == "paired"
        assert change.interval is not None and change.interval.method.endswith("recordings")


def test_a_loss_that_nobody_declared_is_counted_and_leaves_the_run_incomplete(tmp_path: Path):
    suite = load_suite(suite_file(tmp_path), ["controls={real: ceiling}"])
    (tmp_path / "sounds" / "r3.wav").unlink()
    found = run(suite, tmp_path / "run", store=Store(tmp_path / "store"))
    assert "reference: 1 not described by mel, of 7; 30: " in found.stages["extract"]
    assert "no recording r3.wav" in found.stages["extract"]
    assert "real: 2 of 14 clips failed" in found.stages["generate"]
    assert measured(found, "clips", "kl[tiny-tagger]").counts.scored == 12
    assert not complete(found)


def suite_of(kind: str, csv: Path, audio: Path, **settings: str) -> Suite:
    source = {"kind": kind, "csv": str(csv), "audio": str(audio), **settings}
    data = {"name": "x", "takes": 1, "prompts": source, "reference": source, "controls": {"real": "ceiling"}}
    (audio / "suite.yaml").write_text(yaml.safe_dump(data))
    return load_suite(audio / "suite.yaml")


def test_audiocaps_has_881_reference_recordings_and_4405_pairs(shared: Path, tmp_path: Path):
    csv = shared / "data" / "prompts" / "audiocaps-test.csv"
    names = {line.split(",")[1] for line in csv.read_text().splitlines()[1:]}
    for name in names:
        (tmp_path / f"{name}.wav").touch()
    suite = suite_of("audiocaps", csv, tmp_path, missing="published")
    source = suite.reference.build()
    prompts = chosen_prompts(source, None)
    items = reference_items(suite.reference, source)
    assert len(items) == len({item.origin["id"] for item in items}) == 881
    pairs = paired_items(suite.prompts, prompts, 1)
    assert len(pairs) == 4405
    assert set(Counter(item.origin["id"] for item in pairs).values()) == {5}
    assert {item.origin["id"] for item in pairs} == {item.origin["id"] for item in items}
    (ceiling,) = planned(suite, prompts, None)
    assert (len(ceiling.jobs), len({job.key for job in ceiling.jobs})) == (4405, 881)


def test_song_describer_has_each_song_once(shared: Path, tmp_path: Path):
    csv = shared / "data" / "prompts" / "song_describer-nosinging.csv"
    (tmp_path / "any.wav").touch()
    suite = suite_of("songdescriber", csv, tmp_path)
    assert len(reference_items(suite.reference, suite.reference.build())) == 446
    assert len(paired_items(suite.prompts, chosen_prompts(suite.prompts.build(), None), 1)) == 586


def test_only_shared_recordings_enter_a_digest_of_prompts(tmp_path: Path):
    captioned = load_suite(suite_file(tmp_path)).prompts.build().prompts()
    settings = {"path": tmp_path / "list.csv", "columns": {"id": "audiocap_id"}, "seconds": 0.1}
    plain = folder_data.Settings.model_validate(settings).build().prompts()
    assert [(p.id, p.text, p.seconds) for p in plain] == [(p.id, p.text, p.seconds) for p in captioned]
    assert prompts_digest(plain) == digest_of([[p.id, p.text, p.seconds] for p in plain])
    assert prompts_digest(plain) != prompts_digest(captioned)


def test_a_table_of_clips_of_an_earlier_version_is_read(folder: Path, tmp_path: Path):
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * EXCLUDE (recording) FROM read_parquet('{folder / 'clips.parquet'}')) "
            f"TO '{tmp_path / 'clips.parquet'}' (FORMAT parquet)"
        )
    assert read_clips(tmp_path) == [replace(row, recording="") for row in read_clips(folder)]
