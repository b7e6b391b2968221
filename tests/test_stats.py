"""Intervals: coverage by simulation, exact laws, invariances, and refusal where nothing can be said."""

import math

import numpy as np
import pytest

from arc_eval import stats
from arc_eval.errors import IncompleteError


def grouped(scores):
    return {f"p{index:03d}": list(map(float, row)) for index, row in enumerate(scores)}


def clustered(rng, prompts, takes=3):
    return rng.normal(size=(prompts, 1)) + rng.normal(size=(prompts, takes))


@pytest.mark.parametrize("prompts", [8, 30])
def test_mean_interval_of_clustered_scores_covers_as_often_as_it_says(prompts):
    rng = np.random.default_rng(prompts)
    intervals = [
        stats.mean_interval(grouped(clustered(rng, prompts)), resamples=500, seed=trial)
        for trial in range(400)
    ]
    assert 0.91 <= np.mean([i.low <= 0.0 <= i.high for i in intervals]) <= 0.98


def test_mean_interval_leans_towards_the_long_tail():
    scores = np.exp(np.random.default_rng(0).normal(size=(40, 1)))
    interval = stats.mean_interval(grouped(scores))
    assert interval.high - scores.mean() > scores.mean() - interval.low


def test_mean_interval_of_many_prompts_is_the_normal_one():
    scores = np.random.default_rng(1).normal(size=(500, 1))
    interval = stats.mean_interval(grouped(scores), resamples=20000)
    half = 1.96 * scores.std(ddof=1) / math.sqrt(500)
    assert interval.high - scores.mean() == pytest.approx(half, rel=0.05)
    assert scores.mean() - interval.low == pytest.approx(half, rel=0.05)


def test_repeating_takes_of_a_prompt_adds_no_certainty():
    scores = np.random.default_rng(2).normal(size=(20, 1))
    once = stats.mean_interval(grouped(scores))
    often = stats.mean_interval(grouped(scores.repeat(10, axis=1)))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_mean_interval_is_the_same_for_a_seed_in_any_order_of_prompts():
    groups = grouped(clustered(np.random.default_rng(3), 12))
    backwards = dict(reversed(groups.items()))
    assert stats.mean_interval(groups, seed=5) == stats.mean_interval(backwards, seed=5)
    assert stats.mean_interval(groups, seed=5) != stats.mean_interval(groups, seed=6)


def test_blocks_of_drawing_do_not_change_an_interval(monkeypatch):
    groups = grouped(clustered(np.random.default_rng(4), 12))
    whole = stats.mean_interval(groups)
    monkeypatch.setattr(stats, "_BLOCK", 100)
    assert stats.mean_interval(groups) == whole


def test_shift_and_scale_carry_over_to_the_interval():
    scores = clustered(np.random.default_rng(5), 15)
    plain, moved = stats.mean_interval(grouped(scores)), stats.mean_interval(grouped(3 * scores + 7))
    assert (moved.low, moved.high) == pytest.approx((3 * plain.low + 7, 3 * plain.high + 7))


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_share_interval_of_clustered_clips_covers_as_often_as_it_says(share):
    rng = np.random.default_rng(6)
    hits = []
    for _ in range(500):
        chance = rng.beta(4 * share, 4 * (1 - share), size=(30, 1))
        interval = stats.share_interval(grouped(rng.random((30, 4)) < chance))
        hits.append(interval.low <= share <= interval.high)
    assert 0.92 <= np.mean(hits) <= 0.985


def test_share_interval_of_independent_clips_is_wilsons():
    scores = [[1.0]] * 300 + [[0.0]] * 700
    interval = stats.share_interval(grouped(scores))
    assert (interval.low, interval.high) == pytest.approx((0.27242, 0.32914), abs=2e-4)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_without_exception_is_never_certain(share):
    interval = stats.share_interval(grouped([[share] * 5] * 20))
    assert interval.low <= share <= interval.high
    assert interval.high - interval.low > 0.1


def test_groups_are_decided_by_the_set_of_prompts():
    prompts = ["c", "a", "b", "a", "d", "e"]
    groups = stats.prompt_groups(prompts, 2)
    assert groups == [0, 0, 1, 0, 1, 0]
    assert stats.prompt_groups(prompts[::-1], 2) == groups[::-1]


def test_exchanging_the_sides_of_a_difference_flips_it_exactly():
    rng = np.random.default_rng(9)
    ours = {f"p{p}#{take}": rng.lognormal() for p in range(15) for take in range(3)}
    theirs = {f"p{p}#{take}": rng.lognormal() for p in range(20) for take in range(2)}
    there, back = stats.paired_difference(ours, theirs), stats.paired_difference(theirs, ours)
    assert there.count == back.count == 15
    assert (there.value, there.interval.low, there.interval.high) == (
        -back.value,
        -back.interval.high,
        -back.interval.low,
    )


def test_pairing_removes_what_prompts_have_in_common():
    rng = np.random.default_rng(10)
    hard = 10 * rng.normal(size=20)
    theirs = {f"p{p}#0": hard[p] + 0.1 * rng.normal() for p in range(20)}
    ours = {f"p{p}#0": hard[p] + 0.5 + 0.1 * rng.normal() for p in range(20)}
    difference = stats.paired_difference(ours, theirs)
    assert 0.3 < difference.interval.low < difference.value < difference.interval.high < 0.7


def test_differences_of_two_runs_of_one_system_rarely_exclude_zero():
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(300):
        hard = rng.normal(size=24)
        runs = [{f"p{p:02d}#0": hard[p] + rng.normal() for p in range(24)} for _ in range(2)]
        interval = stats.paired_difference(*runs).interval
        alarms += not interval.low <= 0.0 <= interval.high
    assert 0.02 <= alarms / 300 <= 0.09


@pytest.mark.parametrize(
    ("fraction", "confidence", "needed"),
    [(0.5, 0.99, 7), (0.9, 0.99, 44), (0.95, 0.99, 90), (0.99, 0.99, 459), (0.1, 0.99, 44)],
)
def test_percentiles_need_as_many_samples_as_the_binomial_law_says(fraction, confidence, needed):
    assert stats.samples_needed(fraction, confidence) == needed
    samples = list(np.linspace(1, 2, needed))
    assert stats.percentile(samples, fraction, confidence=confidence).count == needed
    with pytest.raises(IncompleteError, match=f"needs at least {needed} samples at 99%"):
        stats.percentile(samples[1:], fraction, confidence=confidence)


@pytest.mark.parametrize(("fraction", "count"), [(0.5, 7), (0.5, 25), (0.9, 44), (0.9, 90)])
def test_each_end_of_a_percentile_holds_as_often_as_it_says(fraction, count):
    rng = np.random.default_rng(count)
    truth = -math.log(1 - fraction)
    found = [stats.percentile(rng.exponential(size=count).tolist(), fraction) for _ in range(500)]
    assert np.mean([estimate.interval.low <= truth for estimate in found]) >= 0.975
    assert np.mean([estimate.interval.high >= truth for estimate in found]) >= 0.975
    assert all(e.interval.low <= e.value <= e.interval.high for e in found)


def test_the_median_of_seven_is_bounded_by_its_extremes():
    estimate = stats.percentile([3.0, 1.0, 7.0, 2.0, 5.0, 6.0, 4.0], 0.5)
    assert (estimate.value, estimate.interval.low, estimate.interval.high) == (4.0, 1.0, 7.0)
    assert estimate.interval.level == 0.98


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (grouped([[1.0], [2.0]]), "at least 5 prompts; there are 2"),
        ({}, "there are 0"),
        (grouped([[1.0]] * 9), "score the same"),
        (grouped([[1.0], [2.0], [3.0], [math.nan], [5.0]]), "not finite"),
    ],
)
def test_a_mean_that_cannot_have_an_interval_says_why(groups, reason):
    with pytest.raises(IncompleteError, match=reason):
        stats.mean_interval(groups)


def test_other_intervals_refuse_what_they_cannot_rest_on():
    with pytest.raises(IncompleteError, match="there are 1"):
        stats.paired_difference({"a#0": 1.0}, {"a#0": 2.0})
    with pytest.raises(IncompleteError, match="1 of 8 samples"):
        stats.percentile([1.0] * 7 + [math.inf], 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.samples_needed(1.0)


def test_captions_of_one_recording_are_one_unit():
    """Five equal copies of a set say no more than the set: the interval must not shrink."""
    rng = np.random.default_rng(0)
    alone = {f"r{n}#0": float(score) for n, score in enumerate(rng.normal(size=40))}
    copies = {f"{clip.removesuffix('#0')}-{k}#0": score for clip, score in alone.items() for k in range(5)}
    clusters = {clip.removesuffix("#0"): f"recording:{clip.split('-')[0]}" for clip in copies}
    one = stats.mean_interval(stats.by_prompt(alone))
    together = stats.mean_interval(stats.by_prompt(copies, clusters))
    apart = stats.mean_interval(stats.by_prompt(copies))
    assert (together.low, together.high) == pytest.approx((one.low, one.high), rel=0.02)
    assert apart.high - apart.low < 0.6 * (one.high - one.low)
    assert (stats.kind_of(clusters.values()), stats.kind_of(alone)) == ("recordings", "prompts")
    other = {clip: score + 0.1 * n % 0.7 for n, (clip, score) in enumerate(copies.items())}
    paired = stats.paired_difference(other, copies, clusters)
    assert paired.count == 40 and paired.interval.method == "Student's t over 40 paired recordings"
