"""What a label divergence is worth: its level for sounds of other prompts, and for one answer to everything.

On music the whole range may be small, so these two stand beside every divergence. Rows are logits, a clip's
or a segment's; `Direction` says whose distribution comes first, the one that is averaged over.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to the distribution that comes second."""
Direction = Literal["reference_generated", "generated_reference", "both"]
"""Which comes first; `both` is the sum of the two, as audiocraft."""


def levels(
    logits: Tensor,  # float64[row, class]
    of: Tensor,  # int64[row]
    direction: Direction,
) -> Mapping[str, Tensor]:
    """Two levels in nats, float64[row], of each recording's row; `of` numbers its prompt (or recording).

    `kl_chance`: the mean divergence over all rows of other prompts in the generated clip's place;
    `kl_constant`: over the mean of all rows' labels there.
    """
    p = logits.softmax(1)
    log_p, certainty = (p + EPSILON).log(), (p * logits.log_softmax(1)).sum(1)
    mean = p.mean(0)
    first = {
        "kl_chance": _others(certainty, of) - (_others(p, of) * log_p).sum(1),
        "kl_constant": torch.special.xlogy(mean, mean).sum() - log_p @ mean,
    }
    second = {
        "kl_chance": certainty - (p * _others(log_p, of)).sum(1),
        "kl_constant": certainty - p @ (mean + EPSILON).log(),
    }
    if direction == "both":
        return {name: first[name] + second[name] for name in first}
    return first if direction == "generated_reference" else second


def _others(facts: Tensor, of: Tensor) -> Tensor:
    """The mean of float64[row, ...] over the rows of all other prompts, for each row."""
    # KL(a || b) is -H(a) minus a . log b, linear in what is of a and in what is of b: its mean over all of
    # either needs only their sum, so never the matrix of all pairs.
    prompts = int(of.max()) + 1
    of_prompt = facts.new_zeros(prompts, *facts.shape[1:]).index_add_(0, of, facts)
    left = len(of) - of.bincount(minlength=prompts)[of].to(facts.dtype)
    return (facts.sum(0) - of_prompt)[of] / left.view(-1, *[1] * (facts.ndim - 1))
