"""Guidance as an extrapolation between two known velocities."""

from dataclasses import dataclass
from typing import Self

import pytest
import torch
from torch import Tensor

from arc_eval.samplers.guidance import guided


@dataclass(frozen=True)
class Direction:
    """A conditioning whose velocity is itself; without a prompt it is the first axis."""

    vectors: Tensor

    def without_prompt(self) -> Self:
        return type(self)(torch.zeros_like(self.vectors) + torch.tensor([1.0, 0.0])[:, None])

    def joined(self, other: Self) -> Self:
        return type(self)(torch.cat((self.vectors, other.vectors)))


X = torch.zeros(1, 2, 3)
HERE = torch.tensor([0.5])
PROMPT = Direction(torch.tensor([2.0, 4.0])[None, :, None].expand(1, 2, 3))


class Network:
    """Counts its calls."""

    calls = 0
    clips = 0

    def __call__(self, x: Tensor, t: Tensor, conditioning: Direction) -> Tensor:
        self.calls += 1
        self.clips += len(x)
        assert len(x) == len(t) == len(conditioning.vectors)
        return conditioning.vectors


@pytest.mark.parametrize("scale", [0.0, 0.5, 4.0])
def test_velocity_lies_on_the_line_through_both_predictions(scale: float) -> None:
    out = guided(Network(), PROMPT, scale)(X, HERE)
    assert out[0, :, 0].tolist() == [1 + scale * (2 - 1), scale * 4]


def test_both_predictions_come_from_one_call() -> None:
    network = Network()
    guided(network, PROMPT, 4.0)(X, HERE)
    assert (network.calls, network.clips) == (1, 2)


def test_scale_one_costs_one_prediction() -> None:
    network = Network()
    assert torch.equal(guided(network, PROMPT, 1.0)(X, HERE), PROMPT.vectors)
    assert network.clips == 1


def test_outside_the_interval_the_prompted_velocity_is_returned() -> None:
    velocity = guided(Network(), PROMPT, 4.0, interval=(0.6, 0.9))
    assert torch.equal(velocity(X, HERE), PROMPT.vectors)
    assert not torch.equal(velocity(X, torch.tensor([0.7])), PROMPT.vectors)


def test_full_rescaling_gives_the_spread_of_the_prompted_velocity() -> None:
    out = guided(Network(), PROMPT, 4.0, rescale=1.0)(X, HERE)
    assert torch.allclose(out.std(dim=1), PROMPT.vectors.std(dim=1))
