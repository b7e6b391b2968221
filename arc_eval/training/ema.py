"""An exponential moving average of weights: what is published after training."""

from typing import Any

import torch
from torch import nn

from arc_eval.training.place import local


class ExponentialAverage:
    """Moves `average`, a copy of `module`, slowly after it.

    The decay grows with the number of updates n as min(beta, 1 - (1 + n)^-3/4), so that the average
    forgets the random start. Source: the warm-up of ema_pytorch, with the constants that
    stable-audio-tools uses (beta 0.9999, power 3/4).
    """

    def __init__(self, module: nn.Module, average: nn.Module, beta: float) -> None:
        self.module, self.average, self.beta, self.updates = module, average, beta, 0

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the module's present weights; buffers are copied."""
        self.updates += 1
        decay = min(self.beta, 1 - (1 + self.updates) ** -0.75)
        torch._foreach_lerp_(
            [local(kept) for kept in self.average.parameters()],
            [local(live.detach()) for live in self.module.parameters()],
            1 - decay,
        )
        for kept, live in zip(self.average.buffers(), self.module.buffers(), strict=True):
            kept.copy_(live)

    def state_dict(self) -> dict[str, Any]:
        """How many updates the average has seen; its weights belong to whoever holds it."""
        return {"updates": self.updates}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of `state_dict`."""
        self.updates = state["updates"]
