"""Encoded recordings: every row belongs to its prompt, nothing is lost unseen, nothing foreign is used."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from arc_eval.contracts import Progress, silent
from arc_eval.dsp import read_audio, write_audio
from arc_eval.errors import TrainingError
from arc_eval.models.spectral import SpectralConfig
from arc_eval.training import data as module
from arc_eval.training.data import Encoded, encode
from arc_eval.training.features import FeatureEncoding

from .conftest import SPECTRAL

ENCODING = FeatureEncoding(SpectralConfig.model_validate(SPECTRAL), seconds=0.4)
RATIO = 4 * 512
LENGTHS = {"click": 0.02, "bell": 0.2, "rain": 0.3, "long": 1.5, "drone": 2.5}


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Noises between 0.02 and 2.5 s, and their list."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)
    for name, seconds in LENGTHS.items():
        write_audio(folder / f"{name}.wav", torch.rand(2, round(seconds * 44100), generator=rng) - 0.5, 44100)
    write_list(folder, LENGTHS)
    return folder


def write_list(folder: Path, names: Any) -> None:
    lines = [f"{name}.wav,the sound of a {name}" for name in names]
    (folder / "metadata.csv").write_text("\n".join(["file_name,caption", *lines]) + "\n")


def encoded(
    sounds: Path, cache: Path, examples: int | None = None, progress: Progress = silent, **limits: Any
) -> Encoded:
    return encode({"kind": "folder", "path": str(sounds)}, examples, ENCODING, cache, progress, **limits)


def everything(data: Encoded) -> torch.Tensor:
    return data.rows(torch.arange(len(data)))


def damage(sounds: Path, name: str) -> None:
    """Cuts a file in the middle of its samples."""
    path = sounds / f"{name}.wav"
    path.write_bytes(path.read_bytes()[:-4000])


def counting(units: list[int], limit: int | None = None) -> Progress:
    """Progress that notes what was finished, and stops the work once that is more than `limit`."""

    def advance(count: int) -> None:
        units.append(count)
        if limit is not None and sum(units) > limit:
            raise KeyboardInterrupt

    @contextmanager
    def shown(title: str, total: int) -> Iterator[Any]:
        yield advance

    return shown


def test_a_row_is_the_encoding_of_its_own_recording(sounds: Path, tmp_path: Path) -> None:
    data = encoded(sounds, tmp_path)
    assert [prompt.id for prompt in data.prompts] == list(LENGTHS)
    encoder = ENCODING.encoder()
    for i, prompt in enumerate(data.prompts[:3]):
        audio, _ = read_audio(sounds / f"{prompt.id}.wav")
        padded = torch.nn.functional.pad(audio, (0, ENCODING.window.samples - audio.shape[-1]))
        expected = encoder(padded[None])[0]
        assert torch.allclose(data.rows(torch.tensor([i]))[0], expected, rtol=1e-3, atol=1e-3)


def test_rows_come_in_the_order_they_are_asked_for(sounds: Path, tmp_path: Path) -> None:
    data = encoded(sounds, tmp_path)
    order = torch.tensor([3, 0, 3, 4, 1])
    assert data.rows(order).equal(everything(data)[order])


def test_a_prompt_asks_for_the_length_of_its_clip(sounds: Path, tmp_path: Path) -> None:
    data = encoded(sounds, tmp_path)
    window = ENCODING.window.samples / 44100
    assert [prompt.seconds for prompt in data.prompts] == pytest.approx(
        [min(seconds, window) for seconds in LENGTHS.values()]
    )


def test_the_mask_covers_the_frames_that_hold_sound(sounds: Path, tmp_path: Path) -> None:
    data = encoded(sounds, tmp_path)
    mask = data.mask(torch.arange(len(data)))
    frames = everything(data).shape[-1]
    assert mask.shape == (len(data), frames)
    lengths = [-(-round(p.seconds * 44100) * frames // ENCODING.window.samples) for p in data.prompts]
    assert mask.sum(1).tolist() == lengths
    assert (mask.int().diff() <= 0).all()  # sound first, then padding


def test_padding_is_what_silence_sounds_like(sounds: Path, tmp_path: Path) -> None:
    """Two frames of the spectrum may still hear the end of the sound."""
    data = encoded(sounds, tmp_path)
    silence = ENCODING.encoder()(torch.zeros(1, 2, ENCODING.window.samples))[0, :, 0]
    row, end = everything(data)[1], int(data.mask(torch.tensor([1])).sum())
    assert torch.allclose(row[:, end + 2 :], silence[:, None].expand_as(row[:, end + 2 :]), atol=1e-3)


def test_further_crops_hear_other_parts_of_long_recordings_only(sounds: Path, tmp_path: Path) -> None:
    one, two = encoded(sounds, tmp_path / "1"), encoded(sounds, tmp_path / "2", crops=2)
    assert [p.id for p in two.prompts] == [p.id for p in one.prompts] * 2
    first, second = everything(two).split(len(one))
    assert first.equal(everything(one))
    same = [a.equal(b) for a, b in zip(first, second, strict=True)]
    assert same == [seconds <= ENCODING.window.samples / 44100 for seconds in LENGTHS.values()]


def test_all_recordings_are_taken_unless_fewer_are_asked_for(sounds: Path, tmp_path: Path) -> None:
    assert len(encoded(sounds, tmp_path, None)) == 5
    assert len(encoded(sounds, tmp_path, 3)) == 3
    with pytest.raises(TrainingError, match="6 asked, the source has 5"):
        encoded(sounds, tmp_path, 6)


def test_another_sample_rate_is_refused(sounds: Path, tmp_path: Path) -> None:
    source = {"kind": "folder", "path": str(sounds), "sample_rate": 16000}
    with pytest.raises(TrainingError, match=r"16000 Hz.*data\.sample_rate=44100"):
        encode(source, None, ENCODING, tmp_path, silent)


def test_prompts_without_recordings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("caption,seconds\na bell,1\n")
    with pytest.raises(TrainingError, match="without recordings"):
        encode({"kind": "folder", "path": str(path)}, None, ENCODING, tmp_path, silent)


def test_a_second_preparation_finds_everything_done(sounds: Path, tmp_path: Path) -> None:
    first = encoded(sounds, tmp_path)
    units: list[int] = []
    second = encoded(sounds, tmp_path, progress=counting(units))
    assert not units
    assert everything(first).equal(everything(second))
    assert (first.prompts, first.digest, first.facts) == (second.prompts, second.digest, second.facts)


def test_a_stopped_preparation_goes_on_from_its_last_shards(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several processes, which must find what one process finds."""
    whole = encoded(sounds, tmp_path / "whole", crops=2)
    monkeypatch.setattr(module, "SHARD", 3)
    with pytest.raises(KeyboardInterrupt):
        encoded(sounds, tmp_path / "cut", crops=2, progress=counting([], limit=0))
    units: list[int] = []
    resumed = encoded(sounds, tmp_path / "cut", crops=2, progress=counting(units))
    assert sum(units) <= 10 - 3
    assert everything(resumed).equal(everything(whole))
    assert resumed.prompts == whole.prompts


def test_preparing_leaves_the_process_alone(sounds: Path, tmp_path: Path) -> None:
    """Weights may be drawn around it: they must not depend on whether data lay ready."""
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    encoded(sounds, tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def shard_of(cache: Path) -> Path:
    (path,) = cache.rglob("*.safetensors")
    return path


@pytest.mark.parametrize("kept", [0, 5, 300, -1])
def test_a_torn_shard_is_made_again(
    sounds: Path, tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = everything(encoded(sounds, tmp_path)).clone()
    path = shard_of(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    assert everything(encoded(sounds, tmp_path)).equal(whole)
    assert f"{path}: damaged" in caplog.text


def test_another_sources_shard_is_not_used(
    sounds: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other"
    shutil.copytree(sounds, other)
    shutil.copy(other / "bell.wav", other / "rain.wav")
    expected = everything(encoded(other, tmp_path / "b")).clone()
    encoded(sounds, tmp_path / "a")
    shutil.copy(shard_of(tmp_path / "a"), shard_of(tmp_path / "b"))
    assert everything(encoded(other, tmp_path / "b")).equal(expected)
    assert "made of something else" in caplog.text


def test_a_changed_recording_is_encoded_again(sounds: Path, tmp_path: Path) -> None:
    first = encoded(sounds, tmp_path)
    shutil.copy(sounds / "bell.wav", sounds / "rain.wav")
    second = encoded(sounds, tmp_path)
    assert first.digest != second.digest
    changed = (everything(first) != everything(second)).flatten(1).any(1)
    assert changed.tolist() == [name == "rain" for name in LENGTHS]


def test_a_shard_can_be_read_without_this_package(sounds: Path, tmp_path: Path) -> None:
    data = encoded(sounds, tmp_path)
    with safe_open(shard_of(tmp_path), framework="pt") as file:
        assert file.get_tensor("encoded").float().equal(everything(data))
        assert (file.get_tensor("samples") / 44100).tolist() == pytest.approx(
            [p.seconds for p in data.prompts], rel=1e-6
        )
        assert file.get_tensor("row").tolist() == list(range(5))
        assert file.metadata()["made_of"] == data.digest


def test_every_damaged_file_is_named_before_training_is_refused(
    sounds: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(sounds, "bell")
    (sounds / "rain.wav").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"2 of 5 recordings.*\n.*bell\.wav.*truncated") as refused:
        encoded(sounds, tmp_path)
    assert "rain.wav: the file is empty" in str(refused.value)
    assert "--set max_lost=0.4" in str(refused.value)
    (path,) = tmp_path.rglob("lost.json")
    listed = json.loads(path.read_text())
    assert [(one["recording"], one["take"]) for one in listed] == [("bell", 0), ("rain", 0)]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert all(any(one["reason"] in warning for warning in warnings) for one in listed)


def test_allowed_losses_are_counted_and_shift_no_row(sounds: Path, tmp_path: Path) -> None:
    whole = everything(encoded(sounds, tmp_path)).clone()
    damage(sounds, "bell")
    data = encoded(sounds, tmp_path, max_lost=0.2)
    assert [prompt.id for prompt in data.prompts] == ["click", "rain", "long", "drone"]
    assert everything(data).equal(whole[[0, 2, 3, 4]])
    assert data.facts["data"]["lost"] == len(data.lost) == 1
    assert data.facts["data"]["examples"] == 4
    assert data.facts["data"]["seconds"] == pytest.approx(sum(p.seconds for p in data.prompts), abs=1e-3)


def test_a_loss_counts_once_however_many_crops_it_costs(sounds: Path, tmp_path: Path) -> None:
    damage(sounds, "drone")
    data = encoded(sounds, tmp_path, crops=3, max_lost=0.2)
    assert len(data.lost) == 1
    assert len(data) == 12


def test_the_stated_share_is_allowed_and_no_more(sounds: Path, tmp_path: Path) -> None:
    for name in ("bell", "rain"):
        damage(sounds, name)
    assert len(encoded(sounds, tmp_path, max_lost=0.4)) == 3
    with pytest.raises(TrainingError, match="2 of 5"):
        encoded(sounds, tmp_path, max_lost=0.39)


def test_without_any_readable_recording_nothing_is_trained(sounds: Path, tmp_path: Path) -> None:
    for name in LENGTHS:
        (sounds / f"{name}.wav").write_bytes(b"RIFF")
    with pytest.raises(TrainingError, match=r"5 of 5 recordings.*\n(.*\n)+.*is the right data"):
        encoded(sounds, tmp_path, max_lost=0.99)


def test_mended_files_leave_no_list_of_losses(sounds: Path, tmp_path: Path) -> None:
    whole = (sounds / "bell.wav").read_bytes()
    damage(sounds, "bell")
    lossy = encoded(sounds, tmp_path, max_lost=0.5)
    (sounds / "bell.wav").write_bytes(whole)
    mended = encoded(sounds, tmp_path)
    assert mended.digest != lossy.digest
    assert len(mended) == 5 and not mended.lost
    (path,) = tmp_path.rglob("lost.json")  # the damaged source keeps its own
    damage(sounds, "bell")
    encoded(sounds, tmp_path, 1)  # the first recording is sound
    assert not path.exists()
