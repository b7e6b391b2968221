"""A reference that is mean and covariance alone gives the distance that its rows give."""

from dataclasses import replace

import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError, NotComparableError
from arc_eval.metrics import frechet, frechet_infinity, kernel, manifold, sliced_wasserstein
from arc_eval.metrics.stated import StatedGaussian
from arc_eval.pipeline.summarise import moments
from arc_eval.records.summary import Moments


def mixed(rows: int, features: int, seed: int) -> Tensor:
    """Rows of correlated features, far from the origin, whose variances differ by a factor of a million."""
    scales = torch.logspace(0, -3, features, dtype=torch.float64)
    turn = torch.linalg.qr(normal(features, features, seed=99)).Q
    return 30 + (normal(rows, features, seed=seed) * scales) @ turn


def without_rows(given: Evidence) -> Evidence:
    return replace(given, reference={}, moments={EAR: moments(given.reference[EAR])})


@pytest.mark.parametrize(
    ("generated", "reference", "features"),
    [(300, 400, 24), (300, 12, 24), (12, 400, 24), (9, 7, 24), (40, 2, 1)],
    ids=["full rank", "few recordings", "few clips", "few of both", "one feature"],
)
def test_the_distance_is_that_of_the_rows(generated: int, reference: int, features: int):
    given = evidence(mixed(generated, features, 0) + 0.5, 1.1 * mixed(reference, features, 1))
    metric = frechet.Settings(extractor=EAR).build()
    rows, stated = metric.measure(given), metric.measure(without_rows(given))
    assert [result.metric for result in stated] == [f"fd[{EAR}]", f"fd_bias[{EAR}]"]
    assert stated[0].value == pytest.approx(rows[0].value, rel=1e-9)
    # A difference of nearly equal distances, twenty times over.
    assert stated[1].value == pytest.approx(rows[1].value, rel=1e-6)
    assert rows[0].interval is not None and stated[0].interval is not None
    assert stated[0].interval.low == pytest.approx(rows[0].interval.low, rel=1e-6)
    assert stated[0].interval.high == pytest.approx(rows[0].interval.high, rel=1e-6)


def test_the_infinite_distance_is_that_of_the_rows():
    given = evidence(mixed(120, 4, 0), mixed(50, 4, 1))
    metric = frechet_infinity.Settings(extractor=EAR).build()
    for one, other in zip(metric.measure(given), metric.measure(without_rows(given)), strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-8, abs=1e-12)


def test_the_gram_matrix_of_the_deviation_is_the_covariance():
    known = moments(evidence(reference=mixed(60, 8, 3)).reference[EAR])
    deviation = StatedGaussian.around_zero(known).deviation
    assert torch.allclose(deviation.T @ deviation, known.covariance, rtol=0, atol=1e-14)
    few = moments(evidence(reference=mixed(5, 8, 3)).reference[EAR])
    assert StatedGaussian.around_zero(few).deviation.shape == (4, 8)


@pytest.mark.parametrize("kind", [sliced_wasserstein, kernel, manifold])
def test_what_needs_rows_says_so(kind):
    given = without_rows(evidence(normal(40, 3), normal(30, 3, seed=1), owners=clip_ids(20, 2)))
    with pytest.raises(IncompleteError, match="statistics, mean and covariance; this needs recordings' rows"):
        kind.Settings(extractor=EAR).build().measure(given)


def test_statistics_of_other_features_are_refused():
    given = evidence(normal(40, 3))
    other = Moments(torch.zeros(5).double(), torch.eye(5).double(), 9, 9)
    with pytest.raises(NotComparableError, match="3 features, the reference statistics 5"):
        frechet.Settings(extractor=EAR).build().measure(replace(given, moments={EAR: other}))
