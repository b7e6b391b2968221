"""An exponential moving average of weights: what is published after training."""

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class ExponentialAverage(Generic[M]):
    """Keeps `average`, a copy of `module` whose weights follow it slowly.

    The decay grows with the number of updates n as min(beta, 1 - (1 + n)^-3/4), so that the average
    forgets the random start. Source: the warm-up of ema_pytorch, with the constants that
    stable-audio-tools uses (beta 0.9999, power 3/4).
    """

    def __init__(self, module: M, beta: float) -> None:
        self.module, self.beta, self.updates = module, beta, 0
        self.average = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the module's present weights; buffers are copied."""
        self.updates += 1
        decay = min(self.beta, 1 - (1 + self.updates) ** -0.75)
        torch._foreach_lerp_(
            list(self.average.parameters()), [p.detach() for p in self.module.parameters()], 1 - decay
        )
        for kept, live in zip(self.average.buffers(), self.module.buffers(), strict=True):
            kept.copy_(live)

    def state_dict(self) -> dict[str, Any]:
        """The average and how many updates it has seen."""
        return {"updates": self.updates, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of `state_dict`."""
        self.updates = state["updates"]
        self.average.load_state_dict(state["average"])
