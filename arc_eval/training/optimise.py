"""AdamW as a function of the step number: nothing about the schedule needs a state of its own."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from arc_eval.training.place import whole
from arc_eval.training.recipe import Optimisation


def adamw(module: nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW over the parameters that train; vectors (norms, biases) are not decayed."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas)


def cosine(settings: Optimisation, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to `final` times the rate at the last step."""
    if step < settings.warmup:
        return constant(settings, step, steps)
    done = (step - settings.warmup) / max(1, steps - settings.warmup)
    return settings.lr * (settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * done)))


def constant(settings: Optimisation, step: int, steps: int) -> float:
    """Linear warm-up, then the rate itself."""
    return settings.lr * min(1.0, (step + 1) / max(1, settings.warmup))


def inverse(settings: Optimisation, step: int, steps: int) -> float:
    """lr / sqrt(1 + n / 10^6) at step n, of which 1 - 0.01^((n + 1) / warmup) has been reached.

    Source: the `InverseLR` of stable-audio-tools with power 1/2, whose warm-up factor 0.99 is a `warmup`
    of 458 steps here.
    """
    missing = math.pow(0.01, (step + 1) / max(1, settings.warmup))
    return (1 - missing) * settings.lr / math.sqrt(1 + step / 1e6)


SCHEDULES: Mapping[str, Callable[[Optimisation, int, int], float]] = {
    "cosine": cosine,
    "constant": constant,
    "inverse": inverse,
}


def learning_rate(settings: Optimisation, step: int, steps: int) -> float:
    """The rate of one step of so many."""
    return SCHEDULES[settings.schedule](settings, step, steps)


def clipped_norm(parameters: Iterable[Tensor], scale: float, clip_norm: float) -> float:
    """Divides the gradients by `scale`, then shortens them to `clip_norm` (0: not); their norm before that.

    The norm is that of the whole network, whoever holds its parts; where it is not finite, the
    gradients are of no use.
    """
    held = [parameter for parameter in parameters if parameter.grad is not None]
    if scale != 1:
        torch._foreach_mul_([p.grad for p in held if p.grad is not None], 1 / scale)
    return float(whole(nn.utils.clip_grad_norm_(held, clip_norm or math.inf)))
