"""Clips made elsewhere are found by the prompt's id; what is missing is said with the near miss."""

from pathlib import Path

import pytest
import torch

from arc_eval.dsp import write_audio
from arc_eval.errors import AudioError, DataError
from arc_eval.generators.folder import Settings
from arc_eval.records.prompt import Prompt

RATE = 8000


def prompt(name: str) -> Prompt:
    return Prompt(name, f"the sound of {name}", 0.1)


def tone(frequency: float) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * frequency * torch.arange(800) / RATE).unsqueeze(0)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    write_audio(tmp_path / "rain.wav", tone(200), RATE)
    write_audio(tmp_path / "rain#1.wav", tone(300), RATE)
    write_audio(tmp_path / "wind.flac", tone(400), RATE)
    return tmp_path


def test_a_clip_is_found_by_prompt_and_take(clips: Path):
    folder = Settings(path=clips, sample_rate=RATE).build()
    assert torch.equal(folder.recording(prompt("rain"), 0), tone(200).repeat(2, 1))
    assert torch.equal(folder.recording(prompt("rain"), 1), tone(300).repeat(2, 1))


def test_a_list_names_clips_otherwise(clips: Path):
    (clips / "metadata.csv").write_text("file_name,id\nwind.flac,a storm\n")
    folder = Settings(path=clips, sample_rate=RATE).build()
    assert folder.recording(prompt("a storm"), 0).shape == (2, 800)


def test_a_missing_clip_is_answered_with_the_near_miss(clips: Path):
    folder = Settings(path=clips).build()
    with pytest.raises(AudioError, match="no file for clip 'rian'; did you mean 'rain'"):
        folder.origin(prompt("rian"), 0)
    with pytest.raises(AudioError, match="wind#1"):
        folder.origin(prompt("wind"), 1)


def test_the_origin_follows_the_content_not_the_name(clips: Path):
    folder = Settings(path=clips).build()
    before = folder.origin(prompt("rain"), 0)
    (clips / "copy.wav").write_bytes((clips / "rain.wav").read_bytes())
    assert Settings(path=clips).build().origin(prompt("copy"), 0) == before
    write_audio(clips / "rain.wav", tone(201), RATE)
    assert folder.origin(prompt("rain"), 0) != before


def test_files_are_read_at_the_rate_that_is_asked_for(clips: Path):
    assert Settings(path=clips).build().recording(prompt("rain"), 0).shape == (2, 4410)


def test_two_files_of_one_name_are_refused(clips: Path):
    (clips / "rain.flac").write_bytes((clips / "wind.flac").read_bytes())
    with pytest.raises(DataError, match=r"rain\.flac and rain\.wav"):
        Settings(path=clips).build()


def test_an_absent_folder_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no such folder"):
        Settings(path=tmp_path / "absent").build()
