"""Audio files, rates, channels and spectra: truth from sines and from round trips."""

import math
import os
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from arc_eval.dsp import (
    mel_filterbank,
    read_audio,
    resample,
    samples_digest,
    stft_power,
    to_channels,
    write_audio,
)
from arc_eval.errors import AudioError


def sine(frequency: float, rate: int, seconds: float = 1.0, channels: int = 1) -> Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * math.pi * frequency * time)).float().repeat(channels, 1)


@pytest.fixture
def stereo() -> Tensor:
    return 0.5 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)


# Round trips


def test_wav_keeps_every_bit(tmp_path: Path, stereo: Tensor):
    write_audio(tmp_path / "a.wav", stereo, 48000)
    samples, rate = read_audio(tmp_path / "a.wav")
    assert rate == 48000
    assert samples.equal(stereo)


def test_flac_keeps_24_bits(tmp_path: Path, stereo: Tensor):
    write_audio(tmp_path / "a.flac", stereo, 44100)
    samples, rate = read_audio(tmp_path / "a.flac")
    assert rate == 44100
    assert (samples - stereo).abs().max() <= 2**-23
    write_audio(tmp_path / "b.flac", samples, 44100)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_flac_clips_what_is_beyond_full_scale_instead_of_wrapping(tmp_path: Path):
    write_audio(tmp_path / "a.flac", torch.tensor([[1.7, -1.7, 0.25]]), 44100)
    samples, _ = read_audio(tmp_path / "a.flac")
    assert samples[0].tolist() == pytest.approx([1.0, -1.0, 0.25], abs=1e-6)


@pytest.mark.parametrize(("suffix", "worst"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.1), ("mp3", 0.1)])
def test_every_format_is_read(tmp_path: Path, suffix: str, worst: float):
    tone = sine(440, 44100, channels=2)
    soundfile.write(tmp_path / f"a.{suffix}", tone.T.numpy(), 44100)
    samples, rate = read_audio(tmp_path / f"a.{suffix}")
    assert (rate, samples.shape[0]) == (44100, 2)
    inner = slice(4000, 40000)
    assert (samples[:, inner] - tone[:, inner]).abs().max() < worst


def test_a_streamed_wav_of_unstated_size_is_whole(tmp_path: Path, stereo: Tensor):
    path = tmp_path / "a.wav"
    soundfile.write(path, stereo.T.numpy(), 44100, "PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert read_audio(path)[0].shape == (2, 4000)


def test_silence_is_no_error(tmp_path: Path):
    write_audio(tmp_path / "a.flac", torch.zeros(1, 100), 44100)
    assert read_audio(tmp_path / "a.flac")[0].equal(torch.zeros(1, 100))


def test_reading_converts_rate_and_channels(tmp_path: Path):
    write_audio(tmp_path / "a.wav", sine(440, 96000), 96000)
    samples, rate = read_audio(tmp_path / "a.wav", sample_rate=44100, channels=2)
    assert (rate, samples.shape) == (44100, (2, 44100))
    assert samples[0].equal(samples[1])


def test_real_files_of_every_rate_and_length_are_read(shared: Path):
    files = sorted((shared / "data" / "sonic-pi-cc0").glob("*.flac"))[::6]
    for file in files:
        samples, _ = read_audio(file, sample_rate=44100, channels=2)
        assert samples.isfinite().all(), file
        info = soundfile.info(file)
        assert samples.shape[-1] == pytest.approx(info.frames * 44100 / info.samplerate, abs=1), file


# Bad files


def broken_file(folder: Path, kind: str) -> Path:
    """A file that is wrong in one way."""
    path = folder / f"broken.{'wav' if kind != 'cut flac' else 'flac'}"
    tone = sine(440, 44100, channels=2).T.numpy()
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no sound\n" * 50)
    elif kind == "no frames":
        soundfile.write(path, np.zeros((0, 2)), 44100)
    elif kind in ("nan", "infinite"):
        tone[7, 1] = np.nan if kind == "nan" else np.inf
        soundfile.write(path, tone, 44100, "FLOAT")
    else:
        soundfile.write(path, tone, 44100)
        path.write_bytes(path.read_bytes()[:9000])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("folder", "cannot be read"),
        ("empty", "empty"),
        ("text", "not an audio file"),
        ("no frames", "0 frames"),
        ("nan", "1 of 88200 samples are NaN"),
        ("infinite", "1 of 88200 samples are NaN or infinite"),
        ("cut wav", "truncated"),
        ("cut flac", "truncated"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_reason(tmp_path: Path, kind: str, words: str):
    path = broken_file(tmp_path, kind)
    with pytest.raises(AudioError, match=words) as raised:
        read_audio(path)
    assert str(path) in str(raised.value)


def test_an_mp3_that_ends_early_is_refused(tmp_path: Path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sine(440, 44100).T.numpy(), 44100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path)


def test_six_channels_are_not_turned_into_two(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 6)), 44100)
    assert read_audio(tmp_path / "a.wav")[0].shape == (6, 100)
    assert read_audio(tmp_path / "a.wav", channels=1)[0].shape == (1, 100)
    with pytest.raises(AudioError, match=r"a\.wav: 6 channels cannot be turned into 2"):
        read_audio(tmp_path / "a.wav", channels=2)


# Writing


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_does_not_say_when_it_was_written(tmp_path: Path, stereo: Tensor, channels: int):
    """Else two of the same clip would differ whenever a second lies between them."""
    write_audio(tmp_path / "a.wav", stereo[:channels], 44100)
    content = (tmp_path / "a.wav").read_bytes()
    head, peak, rest = content.partition(b"PEAK")
    size, version, written = struct.unpack("<III", rest[:12])
    assert (peak, size, version, written) == (b"PEAK", 8 + 8 * channels, 1, 0)
    loudest, _ = struct.unpack("<fI", rest[12:20])
    assert loudest == stereo[0].abs().max()
    assert b"data" not in head


def test_a_refused_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, stereo: Tensor):
    path = tmp_path / "a.wav"
    write_audio(path, stereo, 44100)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a full disk: the system refuses to go on
    try:
        with pytest.raises(AudioError, match=r"a\.wav: cannot be written: File too large; make room"):
            write_audio(path, stereo * 0.5, 44100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_a_missing_folder_is_named(tmp_path: Path, stereo: Tensor):
    with pytest.raises(AudioError, match=f"nowhere{os.sep}a.wav: cannot be written: No such file"):
        write_audio(tmp_path / "nowhere" / "a.wav", stereo, 44100)


@pytest.mark.parametrize(
    ("samples", "name", "words"),
    [
        (torch.full((1, 9), math.nan), "a.flac", "NaN"),
        (torch.zeros(2, 0), "a.flac", "not empty"),
        (torch.zeros(9), "a.wav", "not empty"),
        (torch.zeros(1, 9), "a.mp3", "known: .flac, .wav"),
        (torch.zeros(9, 9), "a.flac", "cannot hold 9 channels"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path: Path, samples: Tensor, name: str, words: str):
    with pytest.raises(AudioError, match=words):
        write_audio(tmp_path / name, samples, 44100)
    assert not list(tmp_path.iterdir())


# Rates and channels


@pytest.mark.parametrize(
    ("source", "target"), [(44100, 48000), (48000, 44100), (96000, 16000), (22050, 44100)]
)
def test_a_resampled_sine_is_the_sine_at_the_other_rate(source: int, target: int):
    found, expected = resample(sine(997, source), source, target), sine(997, target)
    assert found.shape == expected.shape
    inner = slice(target // 20, -target // 20)
    assert (found[:, inner] - expected[:, inner]).abs().max() < 1e-4


def test_resampling_removes_what_the_lower_rate_cannot_hold():
    assert resample(sine(15000, 44100), 44100, 16000)[:, 1000:-1000].abs().max() < 1e-3


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_very_short_clips_are_resampled_to_their_length(length: int):
    assert resample(torch.ones(2, length), 192000, 44100).shape == (2, max(1, round(length * 44100 / 192000)))
    assert resample(torch.ones(2, length), 8000, 44100).shape == (2, round(length * 44100 / 8000))


def test_the_same_rate_changes_nothing(stereo: Tensor):
    assert resample(stereo, 44100, 44100).equal(stereo)


def test_channels_are_copied_or_averaged(stereo: Tensor):
    assert to_channels(stereo[:1], 2).equal(stereo[:1].expand(2, -1))
    assert to_channels(stereo, 1).equal(stereo.mean(0, keepdim=True))
    assert to_channels(stereo, 2) is stereo


def test_a_digest_is_of_samples_shape_and_rate(stereo: Tensor):
    digest = samples_digest(stereo, 44100)
    assert digest == samples_digest(stereo.clone().T.contiguous().T, 44100)
    others = [samples_digest(stereo, 48000), samples_digest(stereo.flip(0), 44100)]
    others.append(samples_digest(stereo.reshape(1, -1), 44100))
    assert digest not in others


# Spectra


def test_the_power_of_a_sine_lies_at_its_bin():
    n_fft, bin_ = 1024, 40
    power = stft_power(sine(bin_ * 44100 / n_fft, 44100), n_fft, 256)
    assert power.shape == (1, n_fft // 2 + 1, 44100 // 256 + 1)
    inner = power[0, :, 4:-4]
    assert (inner.argmax(0) == bin_).all()
    # A Hann window sums to n/2, and half a sine of amplitude 1/2 is at each of the two bins +-k.
    assert inner[bin_].mean().item() == pytest.approx((n_fft / 2 * 0.5 / 2) ** 2, rel=1e-3)


def test_the_power_of_a_batch_is_that_of_its_clips(stereo: Tensor):
    batch = torch.stack([stereo, stereo.flip(0)])
    assert torch.allclose(stft_power(batch, 512, 128)[1, 0], stft_power(stereo[1], 512, 128), rtol=1e-5)


def test_mel_bands_are_triangles_that_share_every_bin_between_their_centres():
    filters = mel_filterbank(44100, 2048, 64, 40, 16000)
    assert filters.shape == (64, 1025)
    assert 0.5 < filters.amax(1).min() <= filters.max() <= 1
    frequency = torch.linspace(0, 22050, 1025)
    peaks = frequency[filters.argmax(1)]
    inside = (frequency >= peaks[0] + 50) & (frequency <= peaks[-1] - 500)
    assert torch.allclose(filters.sum(0)[inside], torch.ones(int(inside.sum())), atol=1e-4)
    assert filters[:, (frequency < 40) | (frequency > 16000)].sum() == 0
    mel = 2595 * torch.log10(1 + peaks / 700)
    assert torch.allclose(mel[30:].diff(), mel[30:].diff().mean(), rtol=0.3)


@pytest.mark.parametrize(("mels", "low", "high"), [(64, 40, 30000), (64, 500, 400), (600, 0, 20000)])
def test_mel_bands_that_cannot_be_are_refused(mels: int, low: float, high: float):
    with pytest.raises(ValueError, match="mel bands"):
        mel_filterbank(44100, 1024, mels, low, high)
