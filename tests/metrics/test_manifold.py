"""Neighbourhood metrics: published vectors, a brute-force oracle, expectations for like sets."""

import math

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.errors import IncompleteError
from arc_eval.metrics import manifold
from arc_eval.metrics.manifold import Settings, neighbourhoods


def shares(found):
    return found.precision, found.recall, found.density, found.coverage


def brute_force(generated, reference, k):
    def ball(rows, i):
        return sorted(float((rows[i] - rows[j]).norm()) for j in range(len(rows)) if j != i)[k - 1]

    real = [ball(reference, i) for i in range(len(reference))]
    own = [ball(generated, j) for j in range(len(generated))]
    d = [[float((a - b).norm()) for b in generated] for a in reference]
    n, m = range(len(reference)), range(len(generated))
    return (
        np.mean([any(d[i][j] < real[i] for i in n) for j in m]),
        np.mean([any(d[i][j] < own[j] for j in m) for i in n]),
        np.mean([sum(d[i][j] < real[i] for i in n) for j in m]) / k,
        np.mean([min(d[i]) < real[i] for i in n]),
    )


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (3, (0.966666667, 0.72, 1.206666667, 0.815)),
        (5, (0.986666667, 0.825, 1.254666667, 0.925)),
        (10, (0.986666667, 0.895, 1.288666667, 0.99)),
    ],
)
def test_shares_agree_with_the_golden_vectors(k, expected):
    random = np.random.RandomState(10)  # the golden vectors are of this generator
    reference = torch.from_numpy(random.randn(200, 6))
    generated = torch.from_numpy(0.8 * random.randn(150, 6) + 0.2)
    assert shares(neighbourhoods(generated, reference, k)[0]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_shares_agree_with_brute_force(seed):
    generated, reference = normal(17, 3, seed=seed) * 0.7, normal(23, 3, seed=100 + seed)
    assert shares(neighbourhoods(generated, reference, 3)[0]) == pytest.approx(
        brute_force(generated, reference, 3), abs=1e-6
    )


def test_variants_equal_starting_afresh_from_the_kept_rows():
    generated, reference = normal(20, 3) * 0.8, normal(25, 3, seed=1)
    kept = torch.rand(6, 20, generator=torch.Generator().manual_seed(0)) < 0.7
    for variant, keep in zip(neighbourhoods(generated, reference, 3, kept), kept, strict=True):
        assert shares(variant) == shares(neighbourhoods(generated[keep], reference, 3)[0])


def test_blocks_and_the_order_of_rows_change_nothing(monkeypatch):
    generated, reference = normal(40, 3), normal(50, 3, seed=1)
    whole = shares(neighbourhoods(generated, reference)[0])
    monkeypatch.setattr(manifold, "_BLOCK", 7)
    assert shares(neighbourhoods(generated, reference)[0]) == whole
    assert shares(neighbourhoods(generated.flip(0), reference.flip(0))[0]) == pytest.approx(whole)


def test_a_set_against_itself_is_precise_and_complete():
    x = normal(60, 4)
    (share,) = neighbourhoods(x, x)
    assert (share.precision, share.recall, share.coverage) == (1.0, 1.0, 1.0)
    assert share.density == pytest.approx(1.0)  # each ball holds its centre and k - 1 others


def test_a_far_off_set_has_nothing():
    assert shares(neighbourhoods(normal(30, 3) + 100, normal(30, 3, seed=1))[0]) == (0.0, 0.0, 0.0, 0.0)


def test_like_sets_have_the_expected_coverage_and_density():
    n, m, k = 60, 40, 5
    found = [neighbourhoods(normal(m, 3, seed=s), normal(n, 3, seed=999 + s), k)[0] for s in range(60)]
    expected = 1 - math.prod((n - i) / (m + n - i) for i in range(1, k + 1))
    assert np.mean([share.coverage for share in found]) == pytest.approx(expected, abs=0.02)
    assert np.mean([share.density for share in found]) == pytest.approx(1.0, abs=0.05)


def test_measurements_average_windows_and_count_clips():
    clips = normal(40, 3) + 0.8
    owners = clip_ids(20, takes=2)
    windows = torch.stack([clips - 0.1, clips + 0.1], 1).reshape(80, 3)
    metric = Settings(extractor=EAR).build()
    reference = normal(50, 3, seed=1)
    plain = metric.measure(evidence(clips, reference, owners=owners))
    split = metric.measure(evidence(windows, reference, owners=[owner for owner in owners for _ in range(2)]))
    assert [result.metric for result in plain] == [
        "precision[ear]",
        "recall[ear]",
        "density[ear]",
        "coverage[ear]",
    ]
    assert [result.value for result in split] == pytest.approx([result.value for result in plain])
    for result in split:
        assert result.counts.scored == 40
        assert result.interval.low <= result.value <= result.interval.high
        assert result.interval.low >= 0.0


def test_copies_in_the_reference_count_once():
    reference = normal(30, 3)
    metric = Settings(extractor=EAR).build()
    once = metric.measure(evidence(normal(30, 3, seed=1), reference))
    twice = metric.measure(evidence(normal(30, 3, seed=1), torch.cat([reference, reference])))
    assert [result.value for result in once] == [result.value for result in twice]


def test_a_share_that_no_group_moves_has_a_reason_instead_of_an_interval():
    precision, *others = Settings(extractor=EAR).build().measure(evidence(normal(30, 3) + 100, normal(30, 3)))
    assert precision.value == precision.interval.low == 0.0
    assert 0.05 < precision.interval.high < 0.2  # 30 clips cannot exclude a rare success
    assert [result.no_interval.split(",")[0] for result in others] == [
        "all 20 groups of prompts pull alike",
        "all 30 prompts score the same",
        "all 20 groups of prompts pull alike",
    ]


def test_too_few_clips_for_k_neighbours_are_refused():
    metric = Settings(extractor=EAR, k=5).build()
    with pytest.raises(IncompleteError, match="5 rows of generated clips"):
        metric.measure(evidence(normal(5, 3), normal(30, 3)))
    with pytest.raises(IncompleteError, match="more than 5 different clips; there are 1"):
        metric.measure(evidence(normal(30, 3), torch.ones(30, 3)))


@pytest.mark.parametrize(("real", "fake", "k"), [(200, 150, 5), (80, 300, 3)])
def test_all_four_equal_the_prdc_package(real, fake, k, capsys):
    package = pytest.importorskip("prdc", reason="prdc is not installed")
    reference, generated = normal(real, 16), 0.3 + normal(fake, 16, seed=1)
    found = neighbourhoods(generated, reference, k)[0]
    expected = package.compute_prdc(reference.numpy(), generated.numpy(), nearest_k=k)
    assert dict(
        zip(("precision", "recall", "density", "coverage"), shares(found), strict=True)
    ) == pytest.approx(expected, rel=1e-6)
