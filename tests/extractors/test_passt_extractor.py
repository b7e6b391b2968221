"""What PaSST is given to hear: levels, windows, channels; and what it refuses."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from arc_eval.contracts import Labelled
from arc_eval.errors import AudioError, CheckpointError
from arc_eval.extractors.loudness import peak_normalised
from arc_eval.extractors.passt import SHORTEST, PasstExtractor, PasstTagger, Settings, segments, windows
from arc_eval.models.passt import PasstConfig
from arc_eval.models.passt_mel import PasstMel
from arc_eval.models.passt_weights import RANDOM, LoadedPasst, random_passt
from arc_eval.records.audio import AudioBatch
from arc_eval.registry import settings

RATE = 32_000
NARROW = PasstConfig(width=64, depth=1)
"""A network that is quick to run; only its sizes differ from the official one."""


def narrow(**options: object) -> PasstTagger:
    return PasstTagger(LoadedPasst(random_passt(NARROW, 0), "a digest"), Settings.model_validate(options))


@pytest.fixture(scope="module")
def tagger() -> PasstTagger:
    return narrow()


def rustle(samples: int, seed: int = 0, channels: int = 1) -> Tensor:
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def row(tagger: PasstExtractor, clip: Tensor) -> Tensor:
    (rows,) = tagger.embed(AudioBatch.of([clip], RATE))
    assert len(rows) == 1
    return rows[0]


def assert_same(found: Tensor, wanted: Tensor) -> None:
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(3, 1), (10, 1), (10 + 1 / RATE, 2), (11, 2), (11.89, 2), (15, 2), (20, 3), (47, 9)],
)
def test_there_are_as_many_windows_as_in_the_published_protocol(seconds: float, count: int):
    clip = torch.arange(1, round(seconds * RATE) + 1).float()
    found = windows(clip)
    assert [len(window) for window in found] == [10 * RATE] * count
    for index, window in enumerate(found):
        start = index * 5 * RATE
        part = clip[start : start + 10 * RATE]
        assert window[: len(part)].equal(part) and not window[len(part) :].any()
    assert start + 10 * RATE >= len(clip), "the end is heard"


@pytest.mark.parametrize(("samples", "heard"), [(20_000, 20_000), (48_000, 48_000), (48_001, 320_000)])
def test_only_windows_above_one_and_a_half_seconds_are_filled(samples: int, heard: int):
    assert [len(window) for window in windows(torch.ones(samples))] == [heard]


def test_logits_of_a_long_clip_are_the_mean_over_its_windows(tagger: PasstTagger):
    clip = rustle(11 * RATE)
    clip[0, 7 * RATE] = 0.9  # the peak lies in both windows, so that each alone is levelled as the whole
    first, second = clip[:, : 10 * RATE], torch.nn.functional.pad(clip[:, 5 * RATE :], (0, 4 * RATE))
    assert_same(row(tagger, clip), (row(tagger, first) + row(tagger, second)) / 2)


@pytest.mark.parametrize(
    ("samples", "lengths"),
    [(20_000, [20_000]), (320_000, [320_000]), (324_800, [320_000]), (700_000, [320_000, 320_000, 60_000])],
)
def test_segments_follow_each_other_unfilled_and_a_rest_too_short_is_dropped(
    samples: int, lengths: list[int]
):
    found = segments(torch.arange(samples).float())
    assert [len(part) for part in found] == lengths
    assert torch.cat(found).equal(torch.arange(sum(lengths)).float())


def test_a_segment_has_a_row_of_its_own_and_its_level(tagger: PasstTagger):
    heard = narrow(windows="segments", peak=None)
    clip = rustle(11 * RATE)
    (rows,) = heard.embed(AudioBatch.of([clip], RATE))
    assert len(rows) == 2
    assert_same(rows[1], row(heard, clip[:, 10 * RATE :]))
    assert float((row(heard, 0.5 * clip[:, : 10 * RATE]) - rows[0]).norm()) > 1e-3
    assert_same(row(tagger, 0.5 * clip[:, : 10 * RATE]), row(tagger, clip[:, : 10 * RATE]))


def test_rows_do_not_depend_on_the_batch_or_its_order(tagger: PasstTagger):
    lengths = (RATE, 3 * RATE, 11 * RATE, SHORTEST, 6 * RATE)
    clips = [rustle(length, seed) for seed, length in enumerate(lengths)]
    alone = [row(tagger, clip) for clip in clips]
    for size in (1, 2, 16):
        together = narrow(batch=size).embed(AudioBatch.of(clips[::-1], RATE))[::-1]
        for found, wanted in zip(together, alone, strict=True):
            assert_same(found[0], wanted)


def test_level_and_copied_channels_change_nothing(tagger: PasstTagger):
    clip = rustle(RATE)
    assert_same(row(tagger, clip), row(tagger, 0.01 * clip))
    assert row(tagger, clip.repeat(2, 1)).equal(row(tagger, clip))


def test_channels_are_averaged_before_the_level_is_set(tagger: PasstTagger):
    clip = rustle(RATE, channels=2)
    clip[0] *= 5
    assert_same(row(tagger, clip), row(tagger, clip.mean(0, keepdim=True)))


def test_the_network_hears_the_peak_at_minus_one_decibel(tagger: PasstTagger):
    clip = rustle(RATE)
    levelled = clip * (10 ** (-1 / 20) / clip.abs().max())
    assert_same(row(tagger, clip), tagger.network(PasstMel()(levelled)).logits[0])


def test_peaks_are_set_with_one_gain_for_all_channels():
    clip = torch.tensor([[0.5, -0.1], [0.25, 0.0]])
    levelled = peak_normalised(clip, -1.0)
    assert float(levelled.abs().max()) == pytest.approx(0.8912509, abs=1e-7)
    assert float(levelled[1, 0] / levelled[0, 0]) == pytest.approx(0.5)
    faint = peak_normalised(torch.tensor([1e-40, -5e-41]), -1.0)
    assert faint.isfinite().all() and float(faint.max()) == pytest.approx(0.8912509, abs=1e-4)


def test_silence_is_heard_as_silence(tagger: PasstTagger):
    silent = row(tagger, torch.zeros(2, 11 * RATE))
    assert silent.isfinite().all()
    level = (math.log(1e-5) + 4.5) / 5
    assert_same(silent, tagger.network(torch.full((1, 128, 1000), level)).logits[0])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(tagger: PasstTagger, value: float):
    clip = rustle(RATE)
    clip[0, 5] = value
    with pytest.raises(AudioError, match="1 of 32000 samples are NaN or infinite"):
        tagger.embed(AudioBatch.of([clip], RATE))


def test_clips_of_less_than_a_patch_are_refused(tagger: PasstTagger):
    assert row(tagger, rustle(SHORTEST)).isfinite().all()
    for length in (SHORTEST - 1, 1, 0):
        with pytest.raises(AudioError, match=r"too short for PaSST, which needs 4801 at 32000 Hz"):
            tagger.embed(AudioBatch.of([rustle(length)], RATE))


def test_another_sample_rate_is_refused(tagger: PasstTagger):
    with pytest.raises(AudioError, match="hears 32000 Hz, not 44100"):
        tagger.embed(AudioBatch.of([rustle(RATE)], 44_100))


def test_columns_are_classes_and_features_are_not():
    assert isinstance(narrow(), Labelled) and len(narrow().labels) == 527
    plain = PasstExtractor(LoadedPasst(random_passt(NARROW, 0), ""), Settings(rows="features"))
    assert not isinstance(plain, Labelled)
    assert row(plain, rustle(RATE)).shape == (NARROW.width,)


def test_the_fingerprint_names_what_decides_a_row_and_nothing_else():
    first = narrow().fingerprint()
    assert first["checkpoint"] == "a digest" and first["resampler"] == "soxr-hq"
    assert narrow(batch=3).fingerprint() == first
    changed = {
        key for key, value in narrow(precision="bfloat16").fingerprint().items() if value != first[key]
    }
    assert changed == {"precision"}


def test_bfloat16_rows_are_near(tagger: PasstTagger):
    exact, near = row(tagger, rustle(RATE)), row(narrow(precision="bfloat16"), rustle(RATE))
    assert near.dtype == torch.float32
    assert 0 < float((near - exact).norm() / exact.norm()) < 0.05


def test_the_plug_in_is_found_and_says_where_weights_come_from(tmp_path: Path):
    given = {"kind": "passt", "weights": str(tmp_path / "passt.pt")}
    with pytest.raises(CheckpointError, match=f"no such file of PaSST weights.*{RANDOM}"):
        settings("extractors", given, "here").build()
