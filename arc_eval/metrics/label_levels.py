"""What a label divergence is to be read against: chance, and a system that always answers the same.

Sound labels are far from even, music's above all: two unrelated recordings diverge by little, and the
mean of all recordings diverges from each by less. `reverse` exchanges the sides: the divergence of
the recordings from the clips, the small constant on the clips. All from logits, in nats.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6


def chance_level(
    generated: Tensor,  # float64[clip, class]
    reference: Tensor,  # float64[clip, class]
    prompts: Sequence[str],  # of each clip, at least two different ones
    *,
    reverse: bool = False,
) -> Tensor:
    """float64[clip], the mean divergence of each clip to the recordings of all *other* prompts."""
    ours, theirs = generated.softmax(1), reference.softmax(1)
    # Linear in the recording's share of the formula, so the mean over pairs needs no pairs.
    if reverse:
        certain = mean_of_others(_certainty(theirs).unsqueeze(1), prompts).squeeze(1)
        return certain - (mean_of_others(theirs, prompts) * (ours + EPSILON).log()).sum(1)
    return _certainty(ours) - (ours * mean_of_others((theirs + EPSILON).log(), prompts)).sum(1)


def constant_level(
    generated: Tensor,  # float64[clip, class]
    reference: Tensor,  # float64[clip, class]
    *,
    reverse: bool = False,
) -> Tensor:
    """float64[clip], the divergence if every clip had the mean label distribution of the recordings."""
    theirs = reference.softmax(1)
    constant = theirs.mean(0, keepdim=True)
    if reverse:
        return _certainty(theirs) - (theirs * (constant + EPSILON).log()).sum(1)
    return _certainty(constant) - (constant * (theirs + EPSILON).log()).sum(1)


def mean_of_others(
    values: Tensor,  # float64[clip, feature]
    prompts: Sequence[str],
) -> Tensor:
    """float64[clip, feature], for each clip the mean over the rows of all prompts but its own."""
    names = {prompt: index for index, prompt in enumerate(sorted(set(prompts)))}
    own = torch.tensor([names[prompt] for prompt in prompts])
    totals = values.new_zeros(len(names), values.shape[1]).index_add_(0, own, values)
    numbers = own.bincount().double().unsqueeze(1)
    return ((totals.sum(0) - totals) / (len(values) - numbers))[own]


def _certainty(labels: Tensor) -> Tensor:
    """float64[row], the negative entropy of each distribution."""
    return -torch.special.entr(labels).sum(1)
