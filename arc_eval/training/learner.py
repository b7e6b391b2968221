"""A network that learns: its optimiser, its rate by the step's number, and the average that is published."""

from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from arc_eval.training.ema import ExponentialAverage
from arc_eval.training.optimise import adamw, descend, learning_rate
from arc_eval.training.recipe import Optimisation, Recipe

M = TypeVar("M", bound=nn.Module)


class Learner(Generic[M]):
    """Trains those parameters of `network` that require a gradient."""

    def __init__(self, network: M, settings: Optimisation, recipe: Recipe) -> None:
        self.network, self.settings, self.recipe = network, settings, recipe
        self.optimiser = adamw(network, settings)
        self._average = ExponentialAverage(network, recipe.ema)

    @property
    def average(self) -> M:
        """The network with averaged weights."""
        return self._average.average

    def learn(self, loss: Tensor, step: int) -> float:
        """Takes one step down the loss and returns its gradient's norm before clipping."""
        norm = descend(
            self.optimiser,
            loss,
            [p for p in self.network.parameters() if p.requires_grad],
            rate=learning_rate(self.settings, step, self.recipe.steps),
            clip_norm=self.recipe.clip_norm,
        )
        self._average.update()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser and average."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._average.load_state_dict(state["average"])
