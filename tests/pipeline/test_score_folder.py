"""Any folder of audio can be judged; what cannot be read is a row with its reason, never a missing one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile
import torch

from arc_eval.dsp import write_audio
from arc_eval.errors import DataError, SuiteError
from arc_eval.pipeline.score import score_folder
from arc_eval.records.measurement import Failure, Measurement
from arc_eval.records.parquet import read_clips
from arc_eval.records.run import Run
from arc_eval.store import Store

METRICS = ("frechet[mel]", "health")
KINDS = ("low", "middle", "high", "rough", "loud", "quiet")


def sound(index: int, seconds: float, rate: int, channels: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(index)
    time = torch.arange(round(seconds * rate)) / rate
    tone = 0.2 * torch.sin(2 * torch.pi * (200 + 60 * index) * time)
    return tone + 0.05 * torch.randn(channels, len(time), generator=stream)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve clips of mixed rates, channels, lengths and formats, with their list."""
    clips = tmp_path / "clips"
    clips.mkdir()
    lines = ["file_name,caption,category,seconds"]
    for index in range(12):
        rate, channels = (44100, 22050, 48000)[index % 3], 1 + index % 2
        name = f"clip-{index:02d}.{('wav', 'flac')[index % 2]}"
        write_audio(clips / name, sound(index, 0.02 + 0.1 * index, rate, channels), rate)
        lines.append(f"{name},sound number {index},{KINDS[index % 6]},{0.02 + 0.1 * index:.2f}")
    (clips / "metadata.csv").write_text("\n".join(lines) + "\n")
    return clips


def judged(folder: Path, reference: Path, tmp_path: Path, metrics: Sequence[str] = METRICS) -> Run:
    return score_folder(
        folder,
        folder / "metadata.csv",
        reference,
        tmp_path / "run",
        metrics=metrics,
        store=Store(tmp_path / "store"),
    )


def value(run: Run, metric: str) -> float:
    result = run.systems[0].result(metric)
    assert isinstance(result, Measurement), result
    return result.value


def test_a_folder_is_at_no_distance_from_itself_and_at_some_from_another(folder: Path, tmp_path: Path):
    same = judged(folder, folder, tmp_path)
    assert set(same.stages.values()) == {"done"}
    other = tmp_path / "other"
    other.mkdir()
    for index in range(12):
        write_audio(other / f"{index}.wav", sound(index + 50, 0.3, 44100, 2), 44100)
    names = "\n".join(f"{index}.wav,another sound" for index in range(12))
    (other / "metadata.csv").write_text(f"file_name,caption\n{names}\n")
    far = value(judged(folder, other, tmp_path), "fd[mel]")
    assert far > 1
    assert abs(value(same, "fd[mel]")) < 1e-6 * far


def test_real_sounds_by_the_usual_metrics_are_at_no_distance_from_themselves(shared: Path, tmp_path: Path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    header, *lines = (shared / "data" / "sonic-pi-cc0" / "metadata.csv").read_text().splitlines()
    extremes = [line for line in lines if line.startswith(("elec_tick", "arovane_beat_b"))]  # 0.02 s, 15 s
    lines = [*extremes, *(line for line in lines[::6] if line not in extremes)]
    (sounds / "metadata.csv").write_text("\n".join([header, *lines]))
    for name in (line.partition(",")[0] for line in lines):
        (sounds / name).symlink_to(shared / "data" / "sonic-pi-cc0" / name)
    run = judged(sounds, sounds, tmp_path, ())
    assert set(run.stages.values()) == {"done"}
    assert all(isinstance(result, Measurement) for result in run.systems[0].results), "a canary was not heard"
    result = run.systems[0].result("fd[tiny-clap]")
    assert isinstance(result, Measurement)
    assert abs(result.value) < 1e-6
    assert result.counts.scored == result.counts.planned == len(lines)


def spoil(folder: Path) -> dict[str, str]:
    """Damages five files in as many ways: clip id to what its row must say. A sixth is made silent."""
    (folder / "clip-00.wav").write_bytes(b"")
    (folder / "clip-01.flac").write_bytes((folder / "clip-01.flac").read_bytes()[:200])
    (folder / "clip-02.wav").write_bytes(b"this is not audio at all" * 20)
    soundfile.write(folder / "clip-04.wav", torch.full((2000, 1), torch.nan).numpy(), 44100, "FLOAT")
    (folder / "clip-05.flac").unlink()
    write_audio(folder / "clip-06.wav", torch.zeros(1, 4410), 44100)
    return {
        "clip-00#0": "empty",
        "clip-01#0": "clip-01.flac",
        "clip-02#0": "not an audio file",
        "clip-04#0": "NaN",
        "clip-05#0": "no file for clip 'clip-05'",
    }


def test_spoilt_files_are_rows_with_reasons_and_the_rest_is_judged(folder: Path, tmp_path: Path):
    reference = tmp_path / "reference"
    reference.mkdir()
    for path in folder.iterdir():
        (reference / path.name).write_bytes(path.read_bytes())
    expected = spoil(folder)
    run = judged(folder, reference, tmp_path)
    rows = {row.clip: row for row in read_clips(tmp_path / "run")}
    assert len(rows) == 12
    for clip, reason in expected.items():
        assert rows[clip].status == "failed"
        assert reason in rows[clip].reason
        assert rows[clip].peak is None
    assert rows["clip-06#0"].status == "ok"
    assert rows["clip-06#0"].silence == 1
    assert "5 of 12 clips failed" in run.stages["generate"]
    for result in run.systems[0].results:
        assert isinstance(result, Measurement), result
        assert (result.counts.planned, result.counts.generated) == (12, 7)


def test_a_spoilt_recording_is_said_once_for_each_set_each_time(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (folder / "clip-02.wav").write_bytes(b"this is not audio at all" * 20)
    for _ in range(2):  # the second time from the store
        caplog.clear()
        run = judged(folder, folder, tmp_path)
        assert "reference: 1 not described by mel" in run.stages["extract"]
        assert value(run, "fd[mel]") < 1e-3
        said = [record.getMessage() for record in caplog.records if "not described" in record.getMessage()]
        sets = [line.partition(": not described by mel, health: ")[0] for line in said]
        assert sets == ["reference: clip-02", "recordings of the prompts: clip-02#0"], said


def test_a_folder_of_nothing_but_spoilt_files_has_failures_and_no_numbers(folder: Path, tmp_path: Path):
    reference = tmp_path / "reference"
    folder.rename(reference)
    folder.mkdir()
    (folder / "metadata.csv").write_text((reference / "metadata.csv").read_text())
    for path in reference.glob("clip*"):
        (folder / path.name).write_bytes(b"")
    run = judged(folder, reference, tmp_path)
    assert run.systems[0].results
    assert all(isinstance(result, Failure) for result in run.systems[0].results)
    assert "12 of 12 clips failed" in run.stages["generate"]


def test_a_mended_file_is_judged_and_the_others_are_not_read_again(folder: Path, tmp_path: Path):
    whole = (folder / "clip-03.flac").read_bytes()
    reference = tmp_path / "reference"
    reference.mkdir()
    for path in folder.iterdir():
        (reference / path.name).write_bytes(path.read_bytes())
    (folder / "clip-03.flac").write_bytes(whole[:100])
    assert "1 of 12" in judged(folder, reference, tmp_path).stages["generate"]
    (folder / "clip-03.flac").write_bytes(whole)
    assert judged(folder, reference, tmp_path).stages["generate"] == "done"


@pytest.mark.parametrize(
    ("metric", "meant"),
    [("frechett", "did you mean 'frechet'"), ("frechet[mell]", "did you mean 'mel'"), ("fd[", "kind")],
)
def test_an_unknown_metric_is_refused(folder: Path, tmp_path: Path, metric: str, meant: str):
    with pytest.raises(SuiteError, match=meant):
        judged(folder, folder, tmp_path, (metric,))


def test_an_id_given_twice_is_refused(folder: Path, tmp_path: Path):
    (folder / "metadata.csv").write_text("file_name,caption,id\nclip-00.wav,a,x\nclip-01.flac,b,x\n")
    with pytest.raises(DataError, match="'x' was used on line 2"):
        judged(folder, folder, tmp_path)


def test_an_extractor_is_told_its_settings(folder: Path, tmp_path: Path):
    found = score_folder(
        folder,
        folder / "metadata.csv",
        folder,
        tmp_path / "run",
        metrics=["frechet[passt]"],
        overrides=["extractors.passt.weights=random/passt-s-swa-p16-128-ap476", "canaries=0"],
        store=Store(tmp_path / "store"),
    )
    assert abs(value(found, "fd[passt]")) < 1e-6
    assert "random" in str(found.fingerprints["passt"])
