"""Vendi and inception scores equal their definitions, and the packages that people use."""

import math

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval.errors import IncompleteError
from arc_eval.metrics.inception import Inception, inception_score
from arc_eval.metrics.vendi import Vendi, vendi_score


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_vendi_equals_the_vendi_score_package(shape: tuple[int, int]) -> None:
    package = pytest.importorskip("vendi_score.vendi", reason="vendi-score is not installed")
    rows = normal(*shape)
    units = torch.nn.functional.normalize(rows, dim=1).numpy()
    assert vendi_score(rows) == pytest.approx(package.score_K(units @ units.T), rel=1e-9)


def test_vendi_is_the_entropy_of_all_eigenvalues() -> None:
    rows = normal(12, 5)
    units = torch.nn.functional.normalize(rows, dim=1)
    eigenvalues = np.linalg.eigvalsh((units @ units.T / 12).numpy())
    entropy = -sum(value * math.log(value) for value in eigenvalues if value > 1e-12)
    assert vendi_score(rows) == pytest.approx(math.exp(entropy), rel=1e-9)


def test_copies_are_worth_one_and_right_angles_their_number() -> None:
    assert vendi_score(torch.ones(7, 3)) == pytest.approx(1)
    assert vendi_score(torch.eye(7)) == pytest.approx(7)
    assert vendi_score(torch.eye(7).repeat(3, 1)) == pytest.approx(7)


def test_a_clip_of_zeros_has_no_direction() -> None:
    with pytest.raises(IncompleteError, match="zeros"):
        vendi_score(torch.zeros(2, 2))


def test_the_inception_score_is_its_definition() -> None:
    logits = normal(30, 6)
    p = torch.softmax(logits, 1).numpy()
    divergences = [(row * np.log(row / p.mean(0))).sum() for row in p]
    assert inception_score(logits) == pytest.approx(math.exp(np.mean(divergences)), rel=1e-12)
    assert inception_score(torch.zeros(9, 4)) == pytest.approx(1)


@pytest.mark.parametrize("metric", [Vendi(EAR), Inception(EAR)])
def test_the_interval_holds_the_value_and_counts_are_clips(metric: Vendi | Inception) -> None:
    (found,) = metric.measure(evidence(normal(30, 6), owners=clip_ids(10, 3)))
    assert found.interval is not None and found.interval.low < found.value < found.interval.high
    assert found.counts.scored == 30
