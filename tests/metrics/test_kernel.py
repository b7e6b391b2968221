"""Kernel distance: published vectors, a brute-force oracle, unbiasedness."""

import math

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.errors import IncompleteError
from arc_eval.metrics import kernel
from arc_eval.metrics.kernel import Settings, median_distance


def measured(generated, reference, owners=None):
    (result,) = Settings(extractor=EAR).build().measure(evidence(generated, reference, owners=owners))
    return result


def brute_force(x, y, prompts):
    bandwidth = median_distance(y)

    def k(a, b):
        return math.exp(-float((a - b).square().sum()) / (2 * bandwidth**2))

    own = [k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if prompts[i] != prompts[j]]
    real = [k(y[i], y[j]) for i in range(len(y)) for j in range(len(y)) if i != j]
    cross = [k(a, b) for a in x for b in y]
    return 100 * (np.mean(own) + np.mean(real) - 2 * np.mean(cross))


def test_distance_and_bandwidth_agree_with_the_golden_vectors():
    random = np.random.RandomState(20)  # the golden vectors are of this generator
    x = random.randn(60, 5)
    y = 1.2 * random.randn(80, 5) + 0.3
    assert median_distance(torch.from_numpy(y)) == pytest.approx(3.417055794028969, rel=1e-12)
    # Embeddings are stored as float32, hence the tolerance.
    assert measured(x, y).value == pytest.approx(2.2902507381, abs=2e-5)


def test_distance_agrees_with_brute_force_over_takes():
    x, y = (normal(12, 3) + 0.5).float().double(), normal(9, 3, seed=1).float().double()
    owners = clip_ids(6, takes=2)
    expected = brute_force(x, y, [owner[:4] for owner in owners])
    assert measured(x, y, owners).value == pytest.approx(expected, rel=1e-10)


def test_blocks_do_not_change_the_distance(monkeypatch):
    x, y = normal(30, 3), normal(20, 3, seed=1)
    whole = measured(x, y).value
    monkeypatch.setattr(kernel, "_BLOCK", 7)
    assert measured(x, y).value == pytest.approx(whole, rel=1e-12)


def test_distance_of_like_sets_is_zero_on_average_even_with_takes():
    owners = clip_ids(20, takes=3)
    distances = []
    for seed in range(60):
        prompts = normal(20, 1, 2, seed=seed)
        takes = (prompts + 0.1 * normal(20, 3, 2, seed=500 + seed)).reshape(60, 2)
        recordings = normal(50, 2, seed=1000 + seed) * math.sqrt(1.01)
        distances.append(measured(takes, recordings, owners).value)
    error = np.std(distances) / math.sqrt(len(distances))
    assert abs(np.mean(distances)) < 3 * error


def test_jackknife_leaves_out_what_starting_afresh_would():
    x, y, owners = normal(30, 2), normal(20, 2, seed=1), clip_ids(10, takes=3)
    result = measured(x, y, owners)
    left = [
        measured(x[kept], y, [owners[index] for index in kept]).value
        for prompt in range(10)
        for kept in [[index for index in range(30) if index // 3 != prompt]]
    ]
    error = math.sqrt(9 / 10 * np.square(np.array(left) - np.mean(left)).sum())
    assert result.interval.high - result.value == pytest.approx(2.2621571628 * error, rel=1e-6)


def test_a_reference_of_copies_has_no_bandwidth():
    with pytest.raises(IncompleteError, match="bandwidth"):
        measured(normal(6, 2), torch.ones(9, 2))


def test_clips_of_one_prompt_alone_are_refused():
    with pytest.raises(IncompleteError, match="different prompts"):
        measured(normal(6, 2), normal(9, 2), clip_ids(1, takes=6))


def test_no_clips_are_refused_and_never_a_zero():
    with pytest.raises(IncompleteError, match="0 rows of generated"):
        measured(normal(0, 2), normal(9, 2))
