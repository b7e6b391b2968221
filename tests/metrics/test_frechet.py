"""Fréchet distance: closed forms, an independent matrix square root, published vectors, invariances."""

import math

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal
from scipy.linalg import sqrtm

from arc_eval.errors import IncompleteError, NotComparableError
from arc_eval.metrics.frechet import Gaussian, Settings, frechet_distance, gaussian_distance, without_each
from arc_eval.metrics.groups import PromptGroups
from arc_eval.records.embedding import Embedding


def drawn(seed, rows, features, shift=0.0, scale=1.0):
    random = np.random.RandomState(seed)  # the golden vectors are of this generator
    z = random.randn(rows, features)
    w = random.randn(features, features) / math.sqrt(features)
    return torch.from_numpy(shift + scale * (z @ w))


def by_square_root(a, b):
    a, b = a.numpy(), b.numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(sqrtm(cov_a @ cov_b)).real


def test_distance_of_shifted_copies_is_the_squared_shift():
    x = normal(50, 8)
    assert frechet_distance(x, x + 2.0) == pytest.approx(8 * 2.0**2, rel=1e-12)


def test_distance_of_a_set_to_itself_is_zero_within_rounding_and_never_negative():
    for rows, features in ((50, 8), (10, 16), (2, 3), (300, 64)):
        x = normal(rows, features, seed=rows)
        assert 0.0 <= frechet_distance(x, x) < 1e-10
        assert 0.0 <= frechet_distance(x, x.flip(0)) < 1e-10


def test_one_dimensional_gaussians_follow_the_closed_form():
    # N(0, 4) and N(3, 9) by two points each: 3^2 + (2 - 3)^2.
    a, b = torch.tensor([[-1.0], [1.0]]) * math.sqrt(2), 3 + torch.tensor([[-1.0], [1.0]]) * math.sqrt(4.5)
    assert frechet_distance(a.double(), b.double()) == pytest.approx(10.0, abs=1e-6)


def test_scaled_copies_follow_the_closed_form():
    x = normal(40, 6)
    x = x - x.mean(0)
    trace = float(x.square().sum()) / 39
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * trace, rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "expected", "tolerance"),
    [
        ((0, 200, 8), (1, 300, 8, 0.1, 1.2), 4.17332689429, 1e-10),
        ((2, 10, 16), (3, 12, 16, 0.2), 21.986844716, 1e-8),  # both rank-deficient
        ((4, 1000, 64), (5, 800, 64, 0.05, 1.1), 41.2844527829, 1e-9),
    ],
)
def test_distance_agrees_with_the_golden_vectors(a, b, expected, tolerance):
    assert frechet_distance(drawn(*a), drawn(*b)) == pytest.approx(expected, abs=tolerance)


def test_distance_agrees_with_the_matrix_square_root_where_that_is_well_conditioned():
    for seed in range(3):
        a, b = drawn(seed, 300, 24), drawn(seed + 10, 200, 24, 0.3, 1.5)
        assert frechet_distance(a, b) == pytest.approx(by_square_root(a, b), rel=1e-8)


def test_fewer_rows_than_features_are_as_exact_as_the_same_rows_in_their_own_subspace():
    a, b = normal(6, 5, seed=1), normal(7, 5, seed=2)
    basis = torch.linalg.qr(normal(200, 200, seed=3)).Q[:5]
    assert frechet_distance(a @ basis, b @ basis) == pytest.approx(frechet_distance(a, b), rel=1e-10)


def test_distance_is_symmetric_and_ignores_rotation_translation_and_order():
    a, b = drawn(6, 60, 12), drawn(7, 80, 12, 0.5)
    turn = torch.linalg.qr(normal(12, 12)).Q
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(a + 1e4, b + 1e4) == pytest.approx(distance, rel=1e-8)
    assert frechet_distance(a[torch.randperm(60)], b) == pytest.approx(distance, rel=1e-10)


def test_merged_gaussians_equal_the_gaussian_of_all_rows():
    x = normal(30, 7) + 5
    whole, merged = Gaussian.fit(x), Gaussian.fit(x[:4]) + Gaussian.fit(x[4:])
    assert merged.rows == whole.rows == 30
    torch.testing.assert_close(merged.mean, x.mean(0))
    covariance = merged.deviation.T @ merged.deviation
    torch.testing.assert_close(covariance, torch.from_numpy(np.cov(x.numpy(), rowvar=False)))


def test_leaving_out_a_part_equals_starting_afresh_without_it():
    x, y = normal(24, 40), normal(30, 40, seed=1)
    parts = [Gaussian.fit(x[start : start + 4]) for start in range(0, 24, 4)]
    for index, rest in enumerate(without_each(parts)):
        kept = torch.cat([x[: 4 * index], x[4 * index + 4 :]])
        assert gaussian_distance(rest, Gaussian.fit(y)) == pytest.approx(frechet_distance(kept, y), rel=1e-9)


def test_measurement_counts_clips_not_windows_and_carries_an_interval():
    owners = [clip for clip in clip_ids(12, takes=2) for _ in range(3)]
    found = evidence(normal(72, 4), normal(50, 4, seed=1), owners=owners)
    result, *_ = Settings(extractor=EAR).build().measure(found)
    assert (result.metric, result.direction) == ("fd[ear]", "lower")
    assert (result.counts.scored, result.counts.generated, result.counts.planned) == (24, 25, 26)
    assert result.interval.low < result.value < result.interval.high
    expected = frechet_distance(found.generated[EAR].values, found.reference[EAR].values)
    assert result.value == pytest.approx(expected, rel=1e-10)


def test_measurement_ignores_the_order_of_rows():
    x, y, owners = normal(30, 4), normal(40, 4, seed=1), clip_ids(15, takes=2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0)).tolist()
    metric = Settings(extractor=EAR).build()
    straight, _ = metric.measure(evidence(x, y, owners=owners))
    mixed, _ = metric.measure(evidence(x[order], y, owners=[owners[index] for index in order]))
    assert mixed.value == pytest.approx(straight.value, rel=1e-10)
    assert mixed.interval.low == pytest.approx(straight.interval.low, rel=1e-8)


def test_interval_holds_the_expected_distance_about_as_often_as_it_says():
    reference = normal(400, 4, seed=999)
    metric, distances, intervals = Settings(extractor=EAR).build(), [], []
    for seed in range(120):
        prompts = normal(30, 1, 4, seed=seed) * 0.7
        clips = (0.5 + prompts + 0.7 * normal(30, 2, 4, seed=1000 + seed)).reshape(60, 4)
        result, *_ = metric.measure(evidence(clips, reference, owners=clip_ids(30, takes=2)))
        distances.append(result.value)
        intervals.append(result.interval)
    truth = np.mean(distances)
    assert 0.88 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 1.0


def test_few_prompts_give_a_value_and_the_reason_for_no_interval():
    result, *_ = Settings(extractor=EAR).build().measure(evidence(normal(4, 3), normal(9, 3)))
    assert result.interval is None
    assert "at least 5 prompts; there are 4" in result.no_interval


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_refused_and_never_a_zero(rows):
    metric = Settings(extractor=EAR).build()
    with pytest.raises(IncompleteError, match=f"{rows} rows of generated clips"):
        metric.measure(evidence(normal(rows, 3), normal(9, 3)))
    with pytest.raises(IncompleteError, match=f"{rows} rows of reference"):
        metric.measure(evidence(normal(9, 3), normal(rows, 3)))
    with pytest.raises(IncompleteError):
        frechet_distance(normal(rows, 3), normal(9, 3))


def test_rows_that_are_not_finite_are_refused_by_name():
    broken = normal(9, 3)
    broken[4, 1] = torch.nan
    with pytest.raises(IncompleteError, match="p004#0"):
        Settings(extractor=EAR).build().measure(evidence(broken, normal(9, 3)))


def test_an_extractor_that_is_absent_is_named_with_the_near_miss():
    with pytest.raises(IncompleteError, match="did you mean 'ear'"):
        Settings(extractor="eer").build().measure(evidence(normal(9, 3), normal(9, 3)))


def test_sets_that_were_extracted_differently_are_not_compared():
    found = evidence(normal(9, 3), normal(9, 3))
    other = Embedding(found.reference[EAR].values, found.reference[EAR].owners, {"ear": "2"})
    found.reference[EAR] = other
    with pytest.raises(NotComparableError, match="different ear"):
        Settings(extractor=EAR).build().measure(found)


def test_groups_are_dealt_evenly_and_by_prompt():
    groups = PromptGroups.deal([f"p{index % 47:02d}" for index in range(94)])
    assert len(groups) == 20
    assert sorted(set(groups.sizes)) == [2, 3]
    assert groups.of[:47].equal(groups.of[47:])
