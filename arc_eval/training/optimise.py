"""AdamW as a function of the step number: nothing about the schedule needs a state of its own."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from arc_eval.training.recipe import Optimisation


def adamw(module: nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW over the parameters that train; vectors (norms, biases) are not decayed."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas)


def learning_rate(settings: Optimisation, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to `final` times the rate at the last step."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, steps - settings.warmup)
    return settings.lr * (settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * done)))


def descend(
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    parameters: Iterable[Tensor],
    *,
    rate: float,
    clip_norm: float,
) -> float:
    """One step down the loss's gradient at this rate; returns the gradient's norm before clipping."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(list(parameters), clip_norm or math.inf)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return float(norm)
