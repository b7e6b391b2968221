"""Batches, rates and averages against their definitions."""

import copy
import math

import pytest
import torch
from torch import nn

from arc_eval.losses.contrastive import matching_loss
from arc_eval.seeding import initial_weights
from arc_eval.training.data import batch_indices
from arc_eval.training.ema import ExponentialAverage
from arc_eval.training.extractors import varied
from arc_eval.training.optimise import learning_rate
from arc_eval.training.recipe import Optimisation


@pytest.mark.parametrize(("examples", "batch"), [(10, 4), (7, 7), (3, 5)])
def test_an_epoch_shows_every_example_once(examples: int, batch: int) -> None:
    steps = math.lcm(examples, batch) // batch
    seen = torch.cat([batch_indices(examples, batch, seed=1, step=step) for step in range(steps)])
    for epoch in seen.split(examples):
        assert sorted(epoch.tolist()) == list(range(examples))


def test_epochs_and_seeds_differ_in_order() -> None:
    first, second = (batch_indices(64, 64, seed=0, step=step) for step in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, batch_indices(64, 64, seed=1, step=0))


def test_initial_weights_are_decided_by_the_seed_and_leave_the_process_alone() -> None:
    before = torch.get_rng_state()
    networks = []
    for seed in (1, 1, 2):
        with initial_weights(seed):
            networks.append(nn.Linear(3, 2).weight)
    assert torch.equal(networks[0], networks[1])
    assert not torch.equal(networks[0], networks[2])
    assert torch.equal(before, torch.get_rng_state())


def test_the_rate_rises_linearly_and_falls_to_its_floor() -> None:
    settings = Optimisation(lr=2.0, warmup=4, final=0.1)
    assert [learning_rate(settings, step, 104) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert learning_rate(settings, 54, 104) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert learning_rate(settings, 104, 104) == pytest.approx(0.2)


def test_the_average_of_constant_weights_is_those_weights() -> None:
    layer = nn.Linear(3, 2)
    average = ExponentialAverage(layer, copy.deepcopy(layer), 0.99)
    for _ in range(5):
        average.update()
    assert torch.allclose(average.average.weight, layer.weight)


def test_the_average_follows_its_recurrence() -> None:
    layer = nn.Linear(1, 1, bias=False)
    average = ExponentialAverage(layer, copy.deepcopy(layer), 0.5)
    expected = layer.weight.item()
    for update in range(1, 6):
        with torch.no_grad():
            layer.weight.fill_(float(update))
        average.update()
        decay = min(0.5, 1 - (1 + update) ** -0.75)
        expected = decay * expected + (1 - decay) * update
    assert average.average.weight.item() == pytest.approx(expected, rel=1e-6)


def test_matching_by_chance_costs_the_log_of_the_choices() -> None:
    same = torch.nn.functional.normalize(torch.ones(8, 4), dim=1)
    texts = [str(i) for i in range(8)]
    assert float(matching_loss(same, same, texts, torch.tensor(7.0))) == pytest.approx(math.log(8), rel=1e-6)


def test_equal_captions_are_no_wrong_answers() -> None:
    same = torch.nn.functional.normalize(torch.ones(8, 4), dim=1)
    assert float(matching_loss(same, same, ["rain"] * 8, torch.tensor(7.0))) == pytest.approx(0.0, abs=1e-6)


def test_perfect_matches_cost_nothing_at_a_large_scale() -> None:
    clips = torch.eye(6)
    texts = [str(i) for i in range(6)]
    assert float(matching_loss(clips, clips, texts, torch.tensor(100.0))) == pytest.approx(0.0, abs=1e-6)


def test_variation_is_decided_by_its_stream() -> None:
    features = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(0))
    first, second = (varied(features, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, varied(features, torch.Generator().manual_seed(6)))
