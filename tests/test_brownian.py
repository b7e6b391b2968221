"""Brownian paths by the properties that define them, and by belonging to one clip."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arc_eval.brownian import LEAF, NODES, TICKS, BrownianTree
from arc_eval.samplers.schedule import polyexponential_sigmas

LOW, HIGH = 0.3, 500.0


def tree(*seeds: int, shape: tuple[int, ...] = (5, 7)) -> BrownianTree:
    return BrownianTree(seeds, shape, LOW, HIGH)


def moved(path: BrownianTree, sigma: float, later: float) -> Tensor:
    """The increment itself, on a clock in log sigma."""
    return path(sigma, later).double() * math.sqrt(abs(math.log(sigma / later)))


def levels(count: int) -> list[float]:
    return polyexponential_sigmas(count, LOW, HIGH)[:-1].tolist()


@pytest.mark.parametrize("middle", [499.0, 77.7, 12.2474487, 0.3001])
def test_increments_add_up(middle: float) -> None:
    path = tree(1, 2)
    whole = moved(path, HIGH, LOW)
    assert torch.allclose(moved(path, HIGH, middle) + moved(path, middle, LOW), whole, atol=1e-5)


def test_going_back_is_the_negative() -> None:
    assert torch.equal(tree(1)(3.0, 40.0), -tree(1)(40.0, 3.0))


def test_increments_are_standard_normal_and_independent() -> None:
    path = tree(3, shape=(20000,))
    rows = torch.cat([path(*pair) for pair in pairwise([500.0, 499.0, 80.0, 79.9, 6.0, 1.0, 0.31, 0.3])])
    assert torch.allclose(rows.mean(dim=1), torch.zeros(len(rows)), atol=0.03)
    assert torch.allclose(torch.cov(rows), torch.eye(len(rows)), atol=0.04)
    assert torch.allclose(rows.pow(4).mean(dim=1), torch.full((len(rows),), 3.0), atol=0.25)


def test_evenly_spaced_steps_of_the_finest_kind_are_standard_normal_and_independent() -> None:
    """Readings between two nodes, where the bridge is exact and not one of the tree's halvings."""
    width = math.log(HIGH / LOW) * LEAF / TICKS
    sigmas = [HIGH * math.exp(-width * (1000 + 1.3 * step)) for step in range(6)]
    path = tree(4, shape=(20000,))
    rows = torch.cat([path(*pair) for pair in pairwise(sigmas)])
    assert torch.allclose(torch.cov(rows), torch.eye(len(rows)), atol=0.04)


def test_a_path_does_not_know_how_many_steps_follow_it() -> None:
    """40 intervals hold every level of 10, up to the rounding of their logarithms."""
    few, many = levels(11), levels(41)
    coarse, fine = tree(1, 2), tree(1, 2)
    for step, (now, later) in enumerate(pairwise(few)):
        between = many[4 * step : 4 * step + 5]
        total = sum(moved(fine, *pair) for pair in pairwise(between))
        assert torch.allclose(moved(coarse, now, later), total, atol=1e-5)
        assert torch.equal(coarse(now, later), fine(between[0], between[-1]))


def test_the_order_of_the_questions_is_irrelevant() -> None:
    pairs = list(pairwise(levels(60)))
    forwards, backwards = tree(1), tree(1)
    asked = [forwards(*pair) for pair in pairs]
    again = [backwards(*pair) for pair in reversed(pairs)]
    assert all(torch.equal(a, b) for a, b in zip(asked, reversed(again), strict=True))
    assert all(torch.equal(tree(1)(*pair), a) for pair, a in zip(pairs[::7], asked[::7], strict=True))


def test_a_clip_moves_alike_alone_and_among_seven_others() -> None:
    together = tree(*range(8))
    for pair in pairwise(levels(10)):
        assert torch.equal(torch.cat([tree(seed)(*pair) for seed in range(8)]), together(*pair))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_decide_nothing(threads: int) -> None:
    shape, before = (64, 1024), torch.get_num_threads()
    expected = tree(1, shape=shape)(400.0, 17.0)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(tree(1, shape=shape)(400.0, 17.0), expected)
    finally:
        torch.set_num_threads(before)


def test_clips_of_different_seeds_are_independent() -> None:
    rows = tree(1, 2, 3, shape=(20000,))(500.0, 20.0)
    assert torch.allclose(torch.cov(rows), torch.eye(3), atol=0.04)


def test_memory_is_bounded_however_many_steps_are_asked_for() -> None:
    path = tree(1)
    for pair in pairwise(levels(500)):
        path(*pair)
    assert all(len(clip.values) <= NODES for clip in path._paths)


def test_the_rounding_of_a_float32_schedule_stays_on_the_path() -> None:
    sigmas = polyexponential_sigmas(7, LOW, HIGH).float()[:-1].tolist()
    assert all(tree(1)(*pair).isfinite().all() for pair in pairwise(sigmas))


@pytest.mark.parametrize(("sigma", "later"), [(501.0, 1.0), (1.0, 0.29), (1.0, 0.0), (math.nan, 1.0)])
def test_a_level_outside_the_path_is_refused(sigma: float, later: float) -> None:
    with pytest.raises(ValueError, match=r"lies outside the path, 0\.3\.\.500"):
        tree(1)(sigma, later)


@pytest.mark.parametrize("later", [7.0, 7.0 * (1 - 1e-7)])
def test_levels_too_close_to_tell_apart_are_refused(later: float) -> None:
    with pytest.raises(ValueError, match="too close"):
        tree(1)(7.0, later)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, math.inf)])
def test_impossible_ends_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="0 < sigma_min < sigma_max"):
        BrownianTree([1], (2,), low, high)
