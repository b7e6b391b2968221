"""An exponential moving average of weights: what is published after training."""

from typing import Generic, TypeVar

import torch
from torch import nn

from arc_eval.training.place import local

M = TypeVar("M", bound=nn.Module)


class ExponentialAverage(Generic[M]):
    """Moves `average`, a copy of `module`, slowly after it.

    The decay grows with the number of updates n as min(beta, 1 - (1 + n)^-3/4), so that the average
    forgets the random start. Source: the warm-up of ema_pytorch, with the constants that
    stable-audio-tools uses (beta 0.9999, power 3/4).
    """

    def __init__(self, module: M, average: M, beta: float) -> None:
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
