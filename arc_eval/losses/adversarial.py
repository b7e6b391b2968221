"""Losses of the adversarial game; a higher discriminator score means more real.

Logits are float[clip, logit], paired by clip: the real and the generated clip of a pair share prompt,
noise and time. Source: arXiv 2505.08175 section 2.2; the signs follow the released code.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

T = TypeVar("T")


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """Mean softplus of how far `loser` scores above `winner`; ln 2 when they tie.

    winner, loser: float[clip, logit]. The discriminator's winner is the real clip, the generator's
    the generated one. Raises ValueError if the shapes differ.
    """
    if winner.shape != loser.shape:
        raise ValueError(f"logits are paired: {list(winner.shape)} against {list(loser.shape)}")
    return F.softplus(loser - winner).mean()


def contrastive_loss(
    right: Tensor,  # float[clip, logit], real clips under their own captions
    wrong: Tensor,  # float[clip, logit], the same clips under captions of others
    differs: Tensor,  # bool[clip], where the other caption really is another
) -> Tensor:
    """Relativistic loss of the right caption over the wrong one, over the clips that have a wrong one.

    Raises ValueError if no clip has: there is nothing to learn from.
    """
    if not bool(differs.any()):
        raise ValueError("a contrastive loss needs two different captions in the batch")
    return relativistic_loss(right[differs], wrong[differs])


def least_squares_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """mean((1 - real)^2) + mean(fake^2); 0 when real scores 1 and fake 0.

    real, fake: float[clip, logit]. Source: arXiv 1611.04076 without its factor 1/2, as in the released code.
    """
    return (1 - real).square().mean() + fake.square().mean()


def least_squares_generator_loss(fake: Tensor) -> Tensor:
    """mean((1 - fake)^2); 0 when the generated clip, float[clip, logit], scores as real."""
    return (1 - fake).square().mean()


@dataclass(frozen=True)
class Mismatch:
    """permutation: int64[clip], clip i gets caption permutation[i]; differs: bool[clip]."""

    permutation: Tensor
    differs: Tensor


def mismatch(captions: Sequence[str], generator: torch.Generator) -> Mismatch:
    """A random permutation of the captions that gives no clip its own place, nor its own words if possible.

    Equal captions are laid side by side in random order and the row is turned by the size of the
    largest group: nobody meets an equal caption unless one fills more than half of the batch; where
    it does, `differs` is false. A batch of one maps to itself and differs nowhere.
    """
    count = len(captions)
    place = {caption: rank for rank, caption in enumerate(_shuffled(sorted(set(captions)), generator))}
    row = sorted(_shuffled(range(count), generator), key=lambda clip: place[captions[clip]])
    # Turning by a whole row would give everybody their own place.
    turn = min(max(Counter(captions).values(), default=0), max(count - 1, 0))
    permutation = torch.empty(count, dtype=torch.int64)
    permutation[row] = torch.tensor(
        [row[(index + turn) % count] for index in range(count)], dtype=torch.int64
    )
    differs = [captions[other] != captions[clip] for clip, other in enumerate(permutation.tolist())]
    return Mismatch(permutation, torch.tensor(differs, dtype=torch.bool))


def _shuffled(items: Sequence[T], generator: torch.Generator) -> list[T]:
    return [items[index] for index in torch.randperm(len(items), generator=generator)]
