"""Influence: linear statistics exactly, Student's law, invariances, and refusal where nothing can be said."""

import math

import numpy as np
import pytest

from arc_eval.errors import IncompleteError
from arc_eval.influence import (
    influence_difference,
    influence_interval,
    influence_ratio,
    jackknife_influence,
    mean_influence,
)
from arc_eval.records.measurement import GROUP
from arc_eval.stats import prompt_groups


def named(values):
    return {f"p{index:02d}": float(value) for index, value in enumerate(values)}


def ends(interval):
    return interval.low, interval.high


def test_influence_of_a_mean_has_that_mean_whatever_the_numbers_of_takes():
    groups = {"a": [1.0, 2.0, 6.0], "b": [4.0], "c": [0.0, 5.0]}
    influence = mean_influence(groups)
    assert sum(influence.values()) / 3 == pytest.approx(3.0)  # 18 over 6 clips
    assert influence["b"] == pytest.approx(3.0 + 3 / 6 * (4.0 - 3.0))


def test_interval_of_one_clip_for_each_prompt_is_students():
    scores = np.random.default_rng(0).normal(size=12)
    influence = mean_influence({name: [score] for name, score in named(scores).items()})
    half = 2.2009851601 * scores.std(ddof=1) / math.sqrt(12)
    expected = (scores.mean() - half, scores.mean() + half)
    assert ends(influence_interval(influence, scores.mean())) == pytest.approx(expected)


def test_jackknife_of_a_mean_is_students_interval():
    scores = np.random.default_rng(7).normal(size=12)
    left_out = [(scores.sum() - score) / 11 for score in scores]
    influence = jackknife_influence(scores.mean(), left_out, dict.fromkeys(named(scores), 1))
    assert influence == pytest.approx(named(scores))
    half = 2.2009851601 * scores.std(ddof=1) / math.sqrt(12)
    expected = (scores.mean() - half, scores.mean() + half)
    assert ends(influence_interval(influence, scores.mean())) == pytest.approx(expected)


def test_jackknife_with_groups_of_unequal_size_covers_as_often_as_it_says():
    rng = np.random.default_rng(8)
    groups = np.array(prompt_groups([f"p{index:02d}" for index in range(29)], 8))
    sizes = {f"{GROUP}{group}": int(size) for group, size in enumerate(np.bincount(groups))}
    hits = []
    for _ in range(600):
        scores = rng.normal(size=29)
        value, left_out = (
            np.exp(scores.mean()),
            [np.exp(scores[groups != group].mean()) for group in range(8)],
        )
        influence = jackknife_influence(value, left_out, sizes)
        interval = influence_interval(influence, value)
        hits.append(interval.low <= 1.0 <= interval.high)
    assert sum(influence.values()) / 8 == pytest.approx(value)
    assert "8 groups of prompts" in interval.method
    assert 0.92 <= np.mean(hits) <= 0.98


def test_interval_stays_inside_the_bounds_of_the_statistic():
    pulls = jackknife_influence(0.1, [0.0, 0.05, 0.3, 0.1, 0.1], dict.fromkeys("abcde", 1))
    assert influence_interval(pulls, 0.1, bounds=(0.0, 1.0)).low == 0.0


def test_difference_of_means_is_the_paired_one():
    rng = np.random.default_rng(2)
    hard = 10 * rng.normal(size=15)
    a, b = hard + rng.normal(size=15), hard + rng.normal(size=15)
    found = influence_difference(named(a), named(b), (a - b).mean())
    half = 2.1447866879 * (a - b).std(ddof=1) / math.sqrt(15)
    assert ends(found) == pytest.approx(((a - b).mean() - half, (a - b).mean() + half))


def test_exchanging_the_sides_flips_the_interval_exactly_and_order_changes_nothing():
    rng = np.random.default_rng(3)
    a, b = named(rng.lognormal(size=20)), named(rng.lognormal(size=20))
    there, back = influence_difference(a, b, 0.3), influence_difference(b, a, -0.3)
    assert ends(there) == (-back.high, -back.low)
    assert ends(influence_difference(dict(reversed(a.items())), b, 0.3)) == ends(there)
    low, high = influence_ratio(a, b, 2.0, 3.0)
    assert influence_ratio(b, a, 3.0, 2.0) == pytest.approx((1 / high, 1 / low))


def test_a_prompt_that_one_side_lost_widens_the_interval_and_sides_without_common_prompts_are_refused():
    rng = np.random.default_rng(4)
    hard = rng.normal(size=20)
    a, b = named(hard + 0.1 * rng.normal(size=20)), named(hard + 0.1 * rng.normal(size=20))
    whole = influence_difference(a, b, 0.0)
    lost = influence_difference(a, {name: pulled for name, pulled in b.items() if name != "p03"}, 0.0)
    assert lost.high > whole.high
    with pytest.raises(IncompleteError, match="there are 0"):
        influence_difference(a, {f"q{name}": pulled for name, pulled in b.items()}, 0.0)


def test_equal_influences_have_no_spread_and_say_so():
    a = named(np.random.default_rng(5).normal(size=9))
    with pytest.raises(IncompleteError, match="all 9 prompts pull alike"):
        influence_difference(a, a, 0.0)
    with pytest.raises(IncompleteError, match="all 9 prompts pull alike"):
        influence_interval(dict.fromkeys(a, 0.1), 0.1)
    with pytest.raises(IncompleteError, match="at least 5 prompts; there are 4"):
        influence_interval(named([1, 2, 3, 4]), 2.5)
