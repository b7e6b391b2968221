"""Distances between sets besides Fréchet's: FAD-infinity, sliced Wasserstein, the cubic kernel."""

import math

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.errors import IncompleteError
from arc_eval.metrics import frechet_infinity, sliced_wasserstein
from arc_eval.metrics.evidence import Rows
from arc_eval.metrics.frechet import frechet_distance
from arc_eval.metrics.frechet_infinity import dealt, fitted_line
from arc_eval.metrics.sliced_wasserstein import random_directions, sorted_distance


def built(module, **settings):
    return module.Settings(extractor=EAR, **settings).build()


def fad_inf(*arguments, **keywords):
    return built(frechet_infinity).measure(evidence(*arguments, **keywords))


def test_a_line_is_found_with_its_slope_and_what_it_leaves():
    line = fitted_line([0.1, 0.2, 0.4], [3 + 20 * x for x in (0.1, 0.2, 0.4)])
    assert (line.intercept, line.slope, line.residual) == pytest.approx((3, 20, 0), abs=1e-12)
    bent = fitted_line([0, 1, 2], [0, 1, 0])
    assert (bent.intercept, bent.slope) == pytest.approx((1 / 3, 0))
    assert bent.residual == pytest.approx(math.sqrt(2) / 3)


def test_the_bias_of_few_clips_is_taken_away():
    """Clips and reference of one law: at 120 clips FD is some 16 * 17 / 4 / 120 + 16 / 120 = 0.7 too high."""
    reference = normal(5000, 16, seed=999)
    found = [fad_inf(normal(120, 16, seed=seed), reference) for seed in range(8)]
    plain = np.mean([frechet_distance(normal(120, 16, seed=seed), reference) for seed in range(8)])
    assert plain > 0.6
    assert abs(np.mean([result[0].value for result in found])) < 0.1
    # The slope is the bias times the number of prompts.
    assert np.mean([result[1].value for result in found]) == pytest.approx(120 * plain, rel=0.15)
    assert all(0 <= result[2].value < 0.05 for result in found)


def test_takes_of_a_prompt_stay_together_and_blocks_depend_on_the_seed_alone():
    owners = tuple(clip_ids(30, takes=3))
    rows = Rows(normal(90, 2), owners)
    blocks = dealt(rows, 0)
    assert blocks.sizes == (5,) * 6
    assert all(len(set(blocks.of[3 * p : 3 * p + 3].tolist())) == 1 for p in range(30))
    mixed = dealt(Rows(rows.values, owners[::-1]), 0)
    assert mixed.of.flip(0).equal(blocks.of)
    assert not dealt(rows, 1).of.equal(blocks.of)


def test_fad_infinity_is_of_all_clips_and_has_an_interval():
    owners = clip_ids(24, takes=2)
    value, slope, residual = fad_inf(normal(48, 3) + 1, normal(50, 3, seed=1), owners=owners)
    assert [r.metric for r in (value, slope, residual)] == [
        "fad_inf[ear]", "fad_inf_slope[ear]", "fad_inf_residual[ear]",
    ]  # fmt: skip
    assert [r.direction for r in (value, slope, residual)] == ["lower", "none", "none"]
    assert value.counts.scored == 48
    assert value.interval.low < value.value < value.interval.high
    assert "describes the fit" in slope.no_interval


def test_fad_infinity_without_a_line_is_refused_with_the_reason():
    with pytest.raises(IncompleteError, match="at least 12 prompts; there are 11"):
        fad_inf(normal(11, 2), normal(50, 2))
    with pytest.raises(IncompleteError, match="half of the clips give 18 rows of 20 features"):
        fad_inf(normal(38, 20), normal(50, 20))


def test_sliced_distance_agrees_with_the_golden_vectors():
    random = np.random.RandomState(50)  # the golden vectors are of this generator
    x = torch.from_numpy(random.randn(100, 8))
    y = torch.from_numpy(1.5 * random.randn(100, 8) + 0.5)
    lines = torch.from_numpy(random.randn(64, 8))
    lines = lines / lines.norm(dim=1, keepdim=True)
    found = sliced_wasserstein.sliced_wasserstein(x, y, lines)
    assert float(found) == pytest.approx(0.625481919193, abs=1e-11)
    assert frechet_distance(x, y) == pytest.approx(6.030312910463, abs=1e-10)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 4), (7, 3), (1, 9), (12, 30)])
def test_distance_on_a_line_equals_that_of_equally_many_copies(n, m):
    # Each row copied so often that both sides have n * m rows: then sorting alone decides.
    a, b = normal(n, 2, seed=n), normal(m, 2, seed=m + 50)
    many = (a.repeat_interleave(m, 0).sort(0).values - b.repeat_interleave(n, 0).sort(0).values).square()
    found = sorted_distance(a.sort(0).values, b.sort(0).values)
    assert found.tolist() == pytest.approx(many.mean(0).tolist(), rel=1e-12)


def test_sliced_distance_of_a_shift_is_its_square_over_the_features():
    x = normal(40, 6).float().double()
    (result,) = built(sliced_wasserstein, directions=1000).measure(evidence(x, x + 2))
    assert result.value == pytest.approx(4.0, rel=0.15)  # four standard errors
    (nothing,) = built(sliced_wasserstein).measure(evidence(x, x))
    assert nothing.value == 0.0


def test_sliced_variants_equal_starting_afresh_and_blocks_change_nothing(monkeypatch):
    x, y, lines = normal(20, 5), normal(33, 5, seed=1), random_directions(16, 5, 0)
    kept = torch.rand(4, 20, generator=torch.Generator().manual_seed(0)) < 0.7
    found = sliced_wasserstein.sliced_wasserstein(x, y, lines, kept)
    afresh = [float(sliced_wasserstein.sliced_wasserstein(x[keep], y, lines)) for keep in kept]
    assert found.tolist() == pytest.approx(afresh, rel=1e-12)
    monkeypatch.setattr(sliced_wasserstein, "_ELEMENTS", 100)
    again = sliced_wasserstein.sliced_wasserstein(x, y, lines, kept)
    assert again.tolist() == pytest.approx(found.tolist(), rel=1e-12)


def test_sliced_distance_counts_clips_and_has_an_interval():
    owners = [clip for clip in clip_ids(12, takes=2) for _ in range(3)]
    (result,) = built(sliced_wasserstein).measure(
        evidence(normal(72, 4), normal(50, 4, seed=1), owners=owners)
    )
    assert (result.metric, result.direction, result.counts.scored) == ("sw2[ear]", "lower", 24)
    assert result.interval.low < result.value < result.interval.high
