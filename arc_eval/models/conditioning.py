"""Prompts as the DiT reads them: tokens for cross-attention and one global vector.

Tokens are concatenated over the sequence in the order of `cross_attention_cond_ids`, vectors over
channels in the order of `global_cond_ids`. Attribute names are the official state-dict keys.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from arc_eval.models.config import (
    ConditioningConfig,
    DiffusionConfig,
    NumberConditioning,
    NumberConfig,
    T5Conditioning,
    WordsConditioning,
)
from arc_eval.models.t5 import T5
from arc_eval.models.words import Words
from arc_eval.records.prompt import Prompt


@dataclass(frozen=True)
class Conditioning:
    """cross: float[clip, token, channel]; global_: float[clip, channel]."""

    cross: Tensor
    global_: Tensor

    def without_prompt(self) -> Self:
        """The official unconditional branch: every cross token zero, seconds included; global kept."""
        return type(self)(torch.zeros_like(self.cross), self.global_)

    def with_cross_of(self, other: Self) -> Self:
        """The other's cross tokens and this one's global vectors: the official negative prompt."""
        return type(self)(other.cross, self.global_)

    def with_dropout(
        self,
        dropped: Tensor,  # bool[clip]
    ) -> Self:
        """`without_prompt` for the chosen clips alone: guidance dropout in training."""
        return type(self)(self.cross.masked_fill(dropped[:, None, None], 0), self.global_)

    def with_prompts_of(
        self,
        permutation: Tensor,  # int64[clip]
    ) -> Self:
        """Clip i reads the cross tokens of clip permutation[i] and keeps its own global vector.

        The seconds token travels with the prompt; this equals exchanging the captions alone only where
        all clips have one length.
        """
        return type(self)(self.cross[permutation], self.global_)

    def select(self, index: Tensor | slice) -> Self:
        """The chosen clips."""
        return type(self)(self.cross[index], self.global_[index])

    def repeat(self, takes: int) -> Self:
        """Each clip `takes` times in a row."""
        return type(self)(
            self.cross.repeat_interleave(takes, dim=0), self.global_.repeat_interleave(takes, dim=0)
        )

    def joined(self, other: Self) -> Self:
        """The clips of this, then those of the other."""
        return type(self)(torch.cat((self.cross, other.cross)), torch.cat((self.global_, other.global_)))

    def detach(self) -> Self:
        """Without gradient history."""
        return type(self)(self.cross.detach(), self.global_.detach())

    def to(self, device: torch.device | str) -> Self:
        """On another device."""
        return type(self)(self.cross.to(device), self.global_.to(device))


class PositionalNumber(nn.Module):
    """A number in [0, 1] with its sines and cosines at learned frequencies, float[clip, 257]."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(128))

    def forward(self, u: Tensor) -> Tensor:
        angles = 2 * math.pi * u[:, None] * self.weights
        return torch.cat((u[:, None], angles.sin(), angles.cos()), dim=-1)


class NumberEmbedder(nn.Module):
    """Keeps the official nesting `embedder.embedding.N`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Sequential(PositionalNumber(), nn.Linear(257, channels))

    def forward(self, u: Tensor) -> Tensor:
        return self.embedding(u)  # type: ignore[no-any-return]


NUMBERS: Mapping[str, Callable[[Prompt], float]] = {
    "seconds_start": lambda prompt: 0.0,
    "seconds_total": lambda prompt: prompt.seconds,
}


class Number(nn.Module):
    """A number of the prompt, clamped to its range: one token float[clip, 1, channel]."""

    def __init__(self, name: str, config: NumberConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.read = NUMBERS[name]
        self.embedder = NumberEmbedder(channels)

    def embed(
        self,
        values: Tensor,  # float[clip]
    ) -> Tensor:
        """float[clip, 1, channel]."""
        low, high = self.config.min_val, self.config.max_val
        return self.embedder((values.clamp(low, high) - low) / (high - low))[:, None]  # type: ignore[no-any-return]

    def forward(self, prompts: Sequence[Prompt]) -> Tensor:
        """float[clip, 1, channel]."""
        like = next(self.parameters())
        return self.embed(like.new_tensor([self.read(prompt) for prompt in prompts]))


def _build(config: T5Conditioning | NumberConditioning | WordsConditioning, channels: int) -> nn.Module:
    if isinstance(config, T5Conditioning):
        return T5(config.config, channels)
    if isinstance(config, WordsConditioning):
        return Words(config.config, channels)
    return Number(config.id, config.config, channels)


class Conditioner(nn.Module):
    """All conditioners of a model and the order in which the DiT reads them."""

    def __init__(self, conditioning: ConditioningConfig, diffusion: DiffusionConfig) -> None:
        super().__init__()
        self.cross_ids = diffusion.cross_attention_cond_ids
        self.global_ids = diffusion.global_cond_ids
        self.conditioners = nn.ModuleDict(
            {config.id: _build(config, conditioning.cond_dim) for config in conditioning.configs}
        )

    def forward(self, prompts: Sequence[Prompt]) -> Conditioning:
        """One row for each prompt, on the parameters' device."""
        return self.assemble({name: conditioner(prompts) for name, conditioner in self.conditioners.items()})

    def forget(self) -> None:
        """Drops the text embeddings kept from earlier calls."""
        for conditioner in self.conditioners.values():
            if isinstance(conditioner, T5):
                conditioner.forget()

    def identity(self) -> Mapping[str, str]:
        """What decides a prompt's tokens and is in no checkpoint: the text encoders, by conditioner id.

        Raises CheckpointError if one cannot be had.
        """
        return {
            f"{name}.{fact}": value
            for name, conditioner in self.conditioners.items()
            if isinstance(conditioner, T5)
            for fact, value in conditioner.identity().items()
        }

    def assemble(
        self,
        tokens: Mapping[str, Tensor],  # by conditioner id, float[clip, token, channel]
    ) -> Conditioning:
        """Joins the conditioners' tokens in the configured order."""
        return Conditioning(
            torch.cat([tokens[name] for name in self.cross_ids], dim=1),
            torch.cat([tokens[name][:, 0] for name in self.global_ids], dim=-1),
        )
