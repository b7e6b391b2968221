"""Signal health of sounds whose facts are known exactly."""

import math

import pytest
import torch

from arc_eval.errors import AudioError
from arc_eval.extractors.health import COLUMNS, FLOOR_DB, Settings, describe
from arc_eval.records.audio import AudioBatch

RATE = 44100


def sine(seconds=1.0, amplitude=0.5, hertz=441.0):
    return (amplitude * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)).repeat(
        2, 1
    )


def test_a_sine_has_the_level_and_crest_of_a_sine():
    facts = describe(sine(), RATE)
    assert facts["peak"] == pytest.approx(0.5, abs=1e-4)
    assert facts["rms_db"] == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=1e-3)
    assert facts["crest_db"] == pytest.approx(20 * math.log10(math.sqrt(2)), abs=1e-2)
    assert facts["crossings"] == pytest.approx(2 * 441 / RATE, rel=0.01)
    assert (facts["clipping"], facts["silence"], facts["empty"], facts["nan"]) == (0.0, 0.0, 0.0, 0.0)
    assert facts["dc"] == pytest.approx(0.0, abs=1e-6)
    assert facts["correlation"] == 1.0


def test_digital_silence_is_described_by_finite_numbers():
    facts = describe(torch.zeros(2, 1000), RATE)
    assert (facts["rms_db"], facts["crest_db"], facts["silence"], facts["empty"]) == (FLOOR_DB, 0.0, 1.0, 1.0)


def test_silence_is_the_share_of_time_in_quiet_frames():
    half = torch.cat([sine(1.0), sine(1.0, amplitude=1e-4)], 1)
    facts = describe(half, RATE)
    assert facts["silence"] == pytest.approx(0.5, abs=0.01)
    assert facts["empty"] == 0.0


def test_clipping_is_the_share_of_samples_at_full_scale():
    samples = torch.zeros(1, 1000)
    samples[0, :50], samples[0, 50:60] = 1.0, -1.5
    assert describe(samples, RATE)["clipping"] == pytest.approx(0.06)


def test_samples_that_are_not_finite_are_counted_and_spoil_nothing_else():
    samples = sine()
    clean = describe(samples, RATE)
    samples[0, 0], samples[1, 0] = torch.nan, torch.inf
    facts = describe(samples, RATE)
    assert facts["nan"] == pytest.approx(1 / RATE)
    assert facts["rms_db"] == pytest.approx(clean["rms_db"], abs=1e-3)
    assert all(math.isfinite(fact) for fact in facts.values())


def test_correlation_tells_same_opposite_and_one_sided_channels_apart():
    left = sine()[0]
    for right, expected in ((left, 1.0), (-left, -1.0), (0 * left, 0.0)):
        assert describe(torch.stack([left, right]), RATE)["correlation"] == pytest.approx(expected, abs=1e-6)
    assert describe(left.unsqueeze(0), RATE)["correlation"] == 1.0


def test_a_constant_offset_is_found():
    assert describe(torch.full((1, 100), -0.25), RATE)["dc"] == 0.25


def test_rows_do_not_depend_on_the_batch():
    clips = [
        sine(0.3),
        sine(1.0, amplitude=1.0),
        torch.randn(2, 700, generator=torch.Generator().manual_seed(0)),
    ]
    ear = Settings().build()
    together = ear.embed(AudioBatch.of(clips, RATE))
    alone = [ear.embed(AudioBatch.of([clip], RATE))[0] for clip in clips]
    assert all(a.equal(b) for a, b in zip(together, alone, strict=True))
    assert together[0].shape == (1, len(COLUMNS))
    assert together[0].dtype == torch.float32


def test_fingerprint_names_the_columns_in_order():
    assert Settings().build().fingerprint()["columns"] == ",".join(COLUMNS)


def test_a_clip_without_samples_is_refused():
    with pytest.raises(AudioError, match="no samples"):
        describe(torch.zeros(2, 0), RATE)
