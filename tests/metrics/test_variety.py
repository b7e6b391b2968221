"""How many kinds: the Vendi score and the inception score. Truth from closed forms and a package."""

import math
import warnings

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.errors import IncompleteError
from arc_eval.metrics import inception, vendi
from arc_eval.metrics.diversity import distances_to_the_others
from arc_eval.metrics.inception import inception_score
from arc_eval.metrics.vendi import vendi_score


def built(module, **settings):
    return module.Settings(extractor=EAR, **settings).build()


def golden_takes():
    random = np.random.RandomState(30)  # the golden vectors are of this generator
    return torch.from_numpy(random.randn(12, 4, 16) + 2 * random.randn(12, 1, 16))


@pytest.mark.parametrize(
    ("order", "expected"), [(1.0, 2.514295520245), (2.0, 1.930698024248), ("inf", 1.442963200899)]
)
def test_vendi_of_one_prompt_agrees_with_the_golden_vectors(order, expected):
    assert vendi_score(golden_takes()[0], order) == pytest.approx(expected, abs=1e-11)


def test_vendi_of_all_clips_agrees_with_the_golden_vectors():
    assert vendi_score(golden_takes().reshape(48, 16)) == pytest.approx(10.373435755711, abs=1e-11)


def test_distances_between_all_clips_and_between_prompts_agree_with_the_golden_vectors():
    clips = golden_takes().reshape(48, 16)
    assert float(distances_to_the_others(clips).mean()) == pytest.approx(0.958562912277, abs=1e-11)
    units = torch.nn.functional.normalize(clips, dim=1)
    prompt = torch.arange(48) // 4
    between = (1 - units @ units.T)[prompt[:, None] != prompt]
    assert float(between.mean()) == pytest.approx(1.007055040951, abs=1e-11)


@pytest.mark.parametrize(("clips", "features"), [(30, 8), (20, 64), (300, 40)])
@pytest.mark.parametrize("order", [1.0, 2.0, 0.5, "inf"])
def test_vendi_equals_the_vendi_score_package(clips, features, order):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scipy's old names in that package
        package = pytest.importorskip("vendi_score.vendi", reason="the vendi-score package is not installed")
        rows = normal(clips, features, seed=clips).numpy()
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        if order == 1.0:
            assert vendi_score(torch.from_numpy(rows)) == pytest.approx(package.score_X(rows), rel=1e-12)
        if order != 0.5 or clips <= features:  # the package counts rounding where eigenvalues are zero
            theirs = package.score_K(units @ units.T, q=order)
            assert vendi_score(torch.from_numpy(rows), order) == pytest.approx(theirs, rel=1e-11)


@pytest.mark.parametrize("order", [0.1, 1.0, 2.0, "inf"])
def test_vendi_counts_orthogonal_kinds_whatever_their_loudness(order):
    kinds = torch.eye(9, dtype=torch.float64)[:4] * torch.tensor([[1.0], [5.0], [0.1], [2.0]])
    assert vendi_score(kinds, order) == pytest.approx(4, rel=1e-9)
    assert vendi_score(kinds.repeat(6, 1), order) == pytest.approx(4, rel=1e-9)
    assert vendi_score(kinds[:1].repeat(7, 1), order) == pytest.approx(1, rel=1e-9)


def test_vendi_of_unequal_kinds_is_the_exponential_of_their_entropy():
    kinds = torch.eye(3, dtype=torch.float64)[[0] * 5 + [1] * 3 + [2] * 2]
    shares = (0.5, 0.3, 0.2)
    assert vendi_score(kinds) == pytest.approx(math.exp(-sum(s * math.log(s) for s in shares)), rel=1e-12)
    assert vendi_score(kinds, 2.0) == pytest.approx(1 / sum(s * s for s in shares), rel=1e-12)
    assert vendi_score(kinds, "inf") == pytest.approx(2.0, rel=1e-12)


def test_vendi_measures_clips_with_an_interval_and_says_its_order():
    found = evidence(normal(40, 6), owners=clip_ids(20, takes=2))
    (result,) = built(vendi).measure(found)
    assert (result.metric, result.direction, result.counts.scored) == ("vendi[ear]", "higher", 40)
    assert 1 < result.interval.low < result.value < result.interval.high <= 40
    assert built(vendi, order=2).name == "vendi_q2[ear]"
    assert built(vendi, order="inf", among="takes").name == "vendi_takes_qinf[ear]"


def test_vendi_of_takes_is_the_mean_over_prompts_that_kept_all_takes():
    clips = golden_takes()
    owners = clip_ids(12, takes=4)
    (result,) = built(vendi, among="takes").measure(evidence(clips.reshape(48, 16), owners=owners))
    assert result.value == pytest.approx(np.mean([vendi_score(own) for own in clips]), abs=1e-6)
    (fewer,) = built(vendi, among="takes").measure(evidence(clips.reshape(48, 16)[1:], owners=owners[1:]))
    assert fewer.value == pytest.approx(np.mean([vendi_score(own) for own in clips[1:]]), abs=1e-6)
    assert fewer.counts.scored == 44


def test_vendi_without_what_it_needs_is_refused():
    with pytest.raises(IncompleteError, match="set `takes` to 2 or more"):
        built(vendi, among="takes").measure(evidence(normal(6, 4)))
    with pytest.raises(IncompleteError, match="at least 2 clips"):
        built(vendi).measure(evidence(normal(1, 4)))
    with pytest.raises(IncompleteError, match="not zero"):
        built(vendi).measure(evidence(torch.zeros(6, 4)))


def test_inception_score_counts_certain_kinds():
    sure = 200 * torch.eye(5, dtype=torch.float64)
    assert inception_score(sure[[0, 1, 2, 3]]) == pytest.approx(4, rel=1e-12)
    assert inception_score(sure[[2, 2, 2]]) == pytest.approx(1, rel=1e-12)
    assert inception_score(torch.zeros(6, 5, dtype=torch.float64)) == pytest.approx(1, rel=1e-12)


def test_inception_score_is_the_exponential_of_the_mean_divergence_from_the_mean():
    logits = 2 * normal(30, 7)
    labels = logits.softmax(1).numpy()
    divergence = (labels * np.log(labels / labels.mean(0))).sum(1)
    assert inception_score(logits) == pytest.approx(math.exp(divergence.mean()), rel=1e-12)


def test_inception_measures_clips_not_windows_with_an_interval():
    owners = [clip for clip in clip_ids(20) for _ in range(2)]
    logits = (3 * normal(20, 6)).float().double()
    windows = torch.stack([logits - 0.5, logits + 0.5], 1).reshape(40, 6)
    (result,) = built(inception).measure(evidence(windows, owners=owners))
    assert (result.metric, result.direction, result.counts.scored) == ("inception[ear]", "higher", 20)
    assert result.value == pytest.approx(inception_score(logits), rel=1e-6)
    assert 1 <= result.interval.low < result.value < result.interval.high <= 6
    with pytest.raises(IncompleteError, match="at least 2; there are 1"):
        built(inception).measure(evidence(normal(1, 4)))
