"""A network that learns: its optimiser, its rate by the step's number, and the average that is published."""

import copy
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from arc_eval.models.attention import Block
from arc_eval.models.dit import Transformer
from arc_eval.models.fast_linear import through_onednn
from arc_eval.training.draw import Contribution, D
from arc_eval.training.ema import ExponentialAverage
from arc_eval.training.optimise import adamw, clipped_norm, learning_rate
from arc_eval.training.place import Place, synchronise
from arc_eval.training.precision import LossScale, autocast, kept
from arc_eval.training.recipe import Optimisation, Recipe

M = TypeVar("M", bound=nn.Module)

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""Checkpoints hold whole tensors, so that any number of processes can go on from them."""


class Learner(Generic[M]):
    """Trains those parameters of `network` that require a gradient, on its place and at its precision."""

    def __init__(
        self,
        network: M,
        settings: Optimisation,
        recipe: Recipe,
        place: Place,
        *,
        published: bool = True,
    ) -> None:
        """published: whether its average is wanted; a network that only teaches needs none."""
        self.settings, self.recipe, self.place = settings, recipe, place
        self.network = network.to(place.device, kept(recipe.precision))
        average = _double(network, place) if published else None
        self._shape = copy.deepcopy(network).to("meta") if place.grid else network
        for transformer in network.modules():
            if isinstance(transformer, Transformer):
                transformer.recompute = recipe.checkpointing
            elif isinstance(transformer, Block) and recipe.compile:
                transformer.compile()
        if place.grid is None:
            through_onednn(network)
        place.spread(network)
        self.moving: ExponentialAverage[M] | None = None
        if average is not None:
            place.spread(average)
            self.moving = ExponentialAverage(network, average.eval().requires_grad_(False), recipe.ema)
        self.optimiser = adamw(network, settings)
        self.scale = LossScale(recipe.precision)

    def learn(self, draw: D, loss: Callable[[D], Contribution], step: int) -> dict[str, float]:
        """One update down the batch's loss; its figures and its gradient's norm before clipping.

        Where the norm is not finite, nothing has changed.
        """
        self.optimiser.zero_grad(set_to_none=True)
        figures: dict[str, Tensor] = {}
        parts = list(draw.parts(self.place, self.recipe.accumulate, kept(self.recipe.precision)))
        for number, part in enumerate(parts, 1):
            synchronise(self.network, number == len(parts))
            with autocast(self.recipe.precision, self.place.device):
                contribution = loss(part)
            # Gradients are averaged over processes, but contributions add up.
            factor = self.scale.value * self.place.processes
            (contribution.loss * factor).backward()  # type: ignore[no-untyped-call]
            for name, value in contribution.figures.items():
                figures[name] = figures.get(name, 0) + value.detach()
        norm = clipped_norm(self.network.parameters(), self.scale.value, self.recipe.clip_norm)
        if self.scale.accepts(math.isfinite(norm)):
            self._descend(norm, step)
        return {**self._added(figures), "norm": norm}

    def _descend(self, norm: float, step: int) -> None:
        if not math.isfinite(norm):
            return
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, step, self.recipe.steps)
        self.optimiser.step()
        # Not kept through another learner's turn.
        self.optimiser.zero_grad(set_to_none=True)
        if self.moving is not None:
            self.moving.update()

    def _added(self, figures: dict[str, Tensor]) -> dict[str, float]:
        summed = self.place.total(torch.stack([value.double() for value in figures.values()]))
        return dict(zip(figures, summed.tolist(), strict=True))

    def publish(self, write: Callable[[M], object]) -> None:
        """Hands the network with averaged weights to `write`, in the leading process; every one must ask."""
        if self.moving is None:
            raise TypeError("a network without an average is not published")
        if self.place.grid is None:
            write(self.moving.average)
            return
        weights = get_model_state_dict(self.moving.average, options=WHOLE)
        if self.place.leads:  # the others have been given nothing
            average = copy.deepcopy(self._shape)
            average.load_state_dict(weights, assign=True)
            write(average.eval())

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser, loss scale, and the average if there is one, whole; every process must ask."""
        state = {
            "network": get_model_state_dict(self.network, options=WHOLE),
            "optimiser": self._optimiser_state(),
            "scale": self.scale.state_dict(),
        }
        if self.moving is not None:
            state["average"] = get_model_state_dict(self.moving.average, options=WHOLE)
            state["updates"] = {"average": self.moving.updates}
        return state

    def _optimiser_state(self) -> dict[str, Any]:
        """Empty before the first update: asking torch for it then would itself count as an update."""
        if not self.optimiser.state:
            return {}
        return get_optimizer_state_dict(self.network, self.optimiser, options=WHOLE)

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of `state_dict`."""
        set_model_state_dict(self.network, state["network"], options=WHOLE)
        if state["optimiser"]:
            set_optimizer_state_dict(self.network, self.optimiser, state["optimiser"], options=WHOLE)
        self.scale.load_state_dict(state["scale"])
        if self.moving is not None:
            set_model_state_dict(self.moving.average, state["average"], options=WHOLE)
            self.moving.updates = state["updates"]["average"]


def _double(network: M, place: Place) -> M:
    """A copy; in one process it shares what does not train, such as a whole autoencoder."""
    fixed = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    shared = {id(parameter): parameter for parameter in fixed} if place.grid is None else {}
    return copy.deepcopy(network, dict(shared))
