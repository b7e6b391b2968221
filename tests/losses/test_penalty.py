"""The gradient penalty against the gradients of scores whose gradients are known."""

import pytest
import torch
from torch import Tensor

from arc_eval.losses.penalty import SPREAD, Judged, gradient_penalty, roughness

DRAWS = torch.Generator().manual_seed(0)
X = torch.randn(4096, 2, 3, generator=DRAWS, dtype=torch.float64)
NOISE = torch.randn(4096, 2, 3, generator=DRAWS, dtype=torch.float64)
SLOPE = torch.randn(6, 5, generator=DRAWS, dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x.flatten(1) @ SLOPE


def judged(score: object, x: Tensor = X) -> Judged:
    return Judged(x, score(x), NOISE[: len(x)])  # type: ignore[operator]


def test_a_constant_score_pays_nothing() -> None:
    def constant(x: Tensor) -> Tensor:
        return torch.full((len(x), 5), 7.0, dtype=x.dtype)

    assert float(gradient_penalty(constant, judged(constant), judged(constant))) == 0


def test_a_linear_score_pays_the_squared_norm_of_its_slope() -> None:
    expected = SPREAD**2 * float(SLOPE.square().sum())
    assert float(roughness(linear, judged(linear))) == pytest.approx(expected, rel=0.05)


def test_a_linear_score_is_as_rough_everywhere() -> None:
    here, there = judged(linear), judged(linear, X + 100)
    assert float(gradient_penalty(linear, here, there)) == pytest.approx(float(roughness(linear, here)))


def test_twice_the_score_pays_four_times() -> None:
    def double(x: Tensor) -> Tensor:
        return 2 * linear(x)

    assert float(roughness(double, judged(double))) == pytest.approx(
        4 * float(roughness(linear, judged(linear)))
    )


def test_the_penalty_flattens_the_score_that_it_is_descended_for() -> None:
    slope = SLOPE.clone().requires_grad_()

    def score(x: Tensor) -> Tensor:
        return x.flatten(1) @ slope

    gradient_penalty(score, judged(score), judged(score)).backward()
    assert float((slope.grad * SLOPE).sum()) > 0


def test_other_logits_than_those_of_the_score_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[4096, 5\] against \[4096, 4\]"):
        roughness(linear, Judged(X, linear(X)[:, :4], NOISE))
