"""The ARC discriminator: the first blocks of a pre-trained DiT under a convolutional head.

A higher logit means more real. Source: arXiv 2505.08175 section 2.2; the head's layout and keys are
those of stable-audio-tools' `conv` type.
"""

import copy
from typing import Self

from torch import Tensor, nn

from arc_eval.models.conditioning import Conditioning
from arc_eval.models.dit import DiT

TAPS = 4


def logit_count(tokens: int, stages: int) -> int:
    """How many logits a head of `stages` halvings gives for a sequence of `tokens`; at most 0: too short."""
    for _ in range(stages):
        tokens //= 2
    return tokens - TAPS + 1


class ConvHead(nn.Module):
    """Strided convolutions over time to a few logits: float[clip, width, token] to float[clip, logit].

    Keys are `layers.0`, `layers.1`, `layers.3`, ... Raises ValueError if the groups of the group norm
    do not divide the width.
    """

    def __init__(self, width: int, *, stages: int = 4, groups: int = 32) -> None:
        super().__init__()
        if width % groups:
            raise ValueError(f"a discriminator of width {width} does not divide into {groups} norm groups")
        self.stages = stages
        layers: list[nn.Module] = []
        for _ in range(stages):
            halving = nn.Conv1d(width, width, TAPS, stride=2, padding=1)
            layers += [halving, nn.GroupNorm(groups, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Conv1d(width, 1, TAPS))

    def forward(self, x: Tensor) -> Tensor:
        """Raises ValueError if the sequence is too short for the head's stages."""
        if logit_count(x.shape[-1], self.stages) < 1:
            raise ValueError(
                f"{x.shape[-1]} tokens are too few for {self.stages} halving stages and {TAPS} taps; "
                f"use fewer stages"
            )
        return self.layers(x)[:, 0]  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Judges noised latents at their noise level and prompt; every parameter trains."""

    def __init__(self, trunk: DiT, head: ConvHead) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    @classmethod
    def of(cls, dit: DiT, layer: int, *, stages: int = 4, groups: int = 32) -> Self:
        """A copy of `dit` up to and with block `layer` (0-based) under a fresh head.

        Raises ValueError if the DiT has no such block or `groups` do not divide its width.
        """
        if not 0 <= layer < dit.depth:
            raise ValueError(f"layer {layer} does not exist: this DiT has blocks 0 to {dit.depth - 1}")
        trunk = copy.deepcopy(dit).requires_grad_(True)
        del trunk.transformer.layers[layer + 1 :]
        # The way out to latents is never walked here, but stays: the paper's parameter count has it.
        for unused in (trunk.transformer.project_out, trunk.postprocess_conv):
            unused.requires_grad_(False)
        return cls(trunk, ConvHead(dit.config.embed_dim, stages=stages, groups=groups))

    def forward(
        self,
        x: Tensor,  # float[clip, channel, frame]
        t: Tensor,  # float[clip]
        conditioning: Conditioning,
    ) -> Tensor:
        """float[clip, logit]."""
        last = self.trunk.depth - 1
        stream = self.trunk.hidden(x, t, conditioning.cross, conditioning.global_, last)
        return self.head(stream.transpose(1, 2))  # type: ignore[no-any-return]
