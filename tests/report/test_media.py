"""Sounds and pictures inside the page: readable, the same each time, bounded in number."""

import io
import struct
import zlib

import numpy as np
import pytest
import soundfile

from arc_eval.report import prompts
from arc_eval.report.ogg import vorbis, with_serial
from arc_eval.report.png import png
from arc_eval.report.prompts import prompt_views
from arc_eval.report.source import entries, read_sources
from arc_eval.report.spectrogram import BANDS, COLUMNS, mel_levels, spectrogram_png
from tests.run_folders import sound, write_run


def test_a_vorbis_copy_is_the_same_each_time_and_plays_the_same_length():
    samples = sound(0, 1, 0.3)
    first = vorbis(samples, 44100)
    assert first == vorbis(samples, 44100)
    decoded, rate = soundfile.read(io.BytesIO(first))
    assert rate == 44100 and decoded.shape == samples.shape
    assert np.corrcoef(decoded[:, 0], samples[:, 0])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("rate", "channels", "expected"), [(96000, 1, 48000), (4000, 1, 8000), (44100, 4, 44100)]
)
def test_any_rate_and_channel_count_becomes_something_a_browser_plays(rate, channels, expected):
    samples = np.random.default_rng(0).normal(0, 0.1, (rate // 4, channels)).astype(np.float32)
    found = soundfile.info(io.BytesIO(vorbis(samples, rate)))
    assert found.samplerate == expected and found.channels == (channels if channels <= 2 else 1)
    assert found.duration == pytest.approx(0.25, abs=0.002)


def test_a_new_serial_number_keeps_every_page_valid():
    file = vorbis(sound(1, 0, 0.3), 44100)
    other = with_serial(file, 77)
    assert other != file and with_serial(other, 1) == file
    assert np.array_equal(soundfile.read(io.BytesIO(other))[0], soundfile.read(io.BytesIO(file))[0])


def test_a_png_holds_the_pixels_that_went_in():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.arange(36, dtype=np.uint8).reshape(12, 3)
    file = png(pixels, palette)
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(file):
        length, kind = struct.unpack(">I4s", file[place : place + 8])
        data = file[place + 8 : place + 8 + length]
        assert struct.unpack(">I", file[place + 8 + length : place + 12 + length])[0] == zlib.crc32(
            kind + data
        )
        chunks[kind] = data
        place += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (4, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 5)
    assert np.array_equal(rows[:, 1:], pixels) and chunks[b"PLTE"] == palette.tobytes()


def test_a_full_scale_sine_is_bright_in_its_band_and_silence_is_black():
    time = np.arange(44100) / 44100
    sine = np.sin(2 * np.pi * 1000 * time)[:, None].astype(np.float32)
    level = mel_levels(sine, 44100)
    assert level.shape == (BANDS, COLUMNS)
    mel = 2595 * np.log10(1 + np.array([40, 1000, 16000]) / 700)
    expected = (mel[1] - mel[0]) / (mel[2] - mel[0]) * (BANDS + 1) - 1
    assert abs(int(level.mean(axis=1).argmax()) - expected) <= 1
    assert level.max() > 1 > 0 > mel_levels(np.zeros_like(sine), 44100).max()


@pytest.mark.parametrize("length", [1, 900, 44100])
def test_a_clip_of_any_length_has_a_picture(length):
    assert spectrogram_png(np.zeros((length, 2), np.float32), 44100)[16:24] == struct.pack(
        ">II", COLUMNS, BANDS
    )


def views(run):
    return prompt_views(entries(read_sources([run])))


def test_whole_prompts_are_shown_until_the_budget_is_spent(run, monkeypatch):
    everything = views(run)
    assert len(everything) == 5 and all(len(view.cards) == 5 for view in everything)
    monkeypatch.setattr(prompts, "MAX_BYTES", everything[0].size + everything[1].size)
    assert [view.id for view in views(run)] == [view.id for view in everything[:2]]


def test_a_clip_that_cannot_be_shown_says_why(tmp_path):
    run = write_run(tmp_path / "run", prompts=1, systems=("arc-8", "arc-4"))
    (run / "audio" / "00000000.flac").unlink()
    (run / "audio" / "01000000.flac").write_bytes(b"fLaC but not really")
    assert all("cannot be read" in card.reason and not card.sound for card in views(run)[0].cards)


def test_a_path_out_of_the_run_folder_is_not_followed(tmp_path):
    run = write_run(tmp_path / "run", prompts=1, systems=("arc-8",))
    outside = tmp_path / "secret.flac"
    (run / "audio" / "00000000.flac").rename(outside)
    (run / "audio" / "00000000.flac").symlink_to(outside)
    [card] = views(run)[0].cards
    assert "outside the Run folder" in card.reason and not card.sound
