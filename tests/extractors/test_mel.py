"""The untrained mel descriptor: level, pitch and batch behave as a spectrum should."""

import math

import pytest
import torch

from arc_eval.errors import AudioError
from arc_eval.extractors.mel import FLOOR_DB, Settings
from arc_eval.records.audio import AudioBatch

RATE = 44100


def sine(hertz, seconds=0.5, amplitude=0.5):
    wave = amplitude * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)
    return wave.repeat(2, 1)


def row(clip):
    (rows,) = Settings().build().embed(AudioBatch.of([clip], RATE))
    assert rows.shape == (1, 128)
    return rows[0]


def test_ten_times_the_amplitude_is_twenty_decibels_more():
    quiet, loud = row(sine(1000, amplitude=0.05)), row(sine(1000, amplitude=0.5))
    top = int(loud[:64].argmax())
    assert float(loud[top] - quiet[top]) == pytest.approx(20.0, abs=1e-3)


def test_a_higher_tone_peaks_in_a_higher_band():
    tops = [int(row(sine(hertz))[:64].argmax()) for hertz in (100, 500, 2000, 8000)]
    assert tops == sorted(set(tops))


def test_a_steady_sound_has_less_spread_than_a_burst():
    steady = row(sine(1000, seconds=1.0))
    burst = row(torch.cat([sine(1000), torch.zeros(2, RATE // 2)], 1))
    top = int(steady[:64].argmax())
    assert float(burst[64 + top]) > 20 * float(steady[64 + top])


def test_silence_and_clips_shorter_than_a_window_have_finite_rows():
    assert row(torch.zeros(2, 3000))[:64].eq(FLOOR_DB).all()
    assert row(sine(1000, seconds=0.02)).isfinite().all()


def test_rows_do_not_depend_on_the_batch():
    clips = [
        sine(300),
        sine(3000, seconds=0.1),
        torch.randn(2, 9000, generator=torch.Generator().manual_seed(0)),
    ]
    ear = Settings().build()
    together = ear.embed(AudioBatch.of(clips, RATE))
    assert all(a[0].equal(row(clip)) for a, clip in zip(together, clips, strict=True))


def test_channels_are_averaged():
    clip = sine(700)
    assert row(clip).equal(row(clip[:1]))


def test_another_sample_rate_is_refused():
    with pytest.raises(AudioError, match="hears 44100 Hz, not 48000"):
        Settings().build().embed(AudioBatch.of([sine(300)], 48000))


def test_fingerprint_tells_the_transform():
    fingerprint = Settings().build().fingerprint()
    assert fingerprint["windows"] == "whole clip, centred hann 2048, hop 512"
    assert fingerprint["bands"] == "64 from 40.0 to 16000.0 Hz"
