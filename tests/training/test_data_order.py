"""The order of examples: every epoch shows each one once, wherever a training begins."""

import math

import pytest
import torch

from arc_eval.training.data import batch_indices

SIZES = [(10, 4), (7, 7), (3, 5), (1, 4), (64, 1), (155, 32), (5, 23)]


def shown(examples: int, batch: int, steps: range, seed: int = 1) -> torch.Tensor:
    return torch.cat([batch_indices(examples, batch, seed, step) for step in steps])


@pytest.mark.parametrize(("examples", "batch"), SIZES)
def test_every_epoch_shows_each_example_once(examples: int, batch: int) -> None:
    epochs = shown(examples, batch, range(math.lcm(examples, batch) // batch * 3)).view(-1, examples)
    assert len(epochs) >= 3
    assert epochs.sort(dim=1).values.equal(torch.arange(examples).expand_as(epochs))


@pytest.mark.parametrize(("examples", "batch"), SIZES)
def test_no_batch_within_an_epoch_holds_an_example_twice(examples: int, batch: int) -> None:
    for step in range(50):
        first, last = step * batch // examples, ((step + 1) * batch - 1) // examples
        counts = torch.bincount(batch_indices(examples, batch, 1, step), minlength=examples)
        assert counts.max() <= last - first + 1  # once for each epoch that the batch touches
        assert counts.min() >= last - first - 1  # an epoch that lies inside it, it shows whole


@pytest.mark.parametrize("stop", [1, 6, 17])
def test_a_training_that_stops_inside_an_epoch_goes_on_with_what_it_has_not_shown(stop: int) -> None:
    """`batch_indices` is asked in a fresh order, as a resumed process asks it."""
    after = shown(155, 8, range(stop, 20))
    before = shown(155, 8, range(stop))
    epoch = torch.cat((before, after))[:155]
    assert epoch.sort().values.equal(torch.arange(155))
