"""Matching clips with captions inside a batch, as CLIP and CLAP are trained."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def matching_loss(
    clips: Tensor,  # float[pair, feature], unit length
    captions: Tensor,  # float[pair, feature], unit length
    texts: Sequence[str],
    scale: Tensor,
) -> Tensor:
    """Mean cross-entropy of finding each clip's caption and each caption's clip.

    Another pair with the very same text is neither right nor wrong: it is left out of the choice.
    Source: arXiv 2103.00020 section 2.3.
    """
    similarity = scale * clips @ captions.T
    numbers = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    number = torch.tensor([numbers[text] for text in texts])
    same = (number[:, None] == number[None]) & ~torch.eye(len(texts), dtype=torch.bool)
    similarity = similarity.masked_fill(same.to(similarity.device), -torch.inf)
    right = torch.arange(len(texts), device=similarity.device)
    return (F.cross_entropy(similarity, right) + F.cross_entropy(similarity.T, right)) / 2
