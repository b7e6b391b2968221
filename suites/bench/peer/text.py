"""A text encoder that invents: random tokens for each text, the same in every process.

The real one costs both sides alike and would have to be downloaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arc_eval.models.t5 import T5, TextStates
from arc_eval.seeding import hashed_seed

WORDS = 12
"""Tokens of a text that are not padding."""


@dataclass(frozen=True)
class InventedText:
    """Stands for the encoder behind a T5 conditioner."""

    channels: int

    def __call__(self, texts: Sequence[str], max_length: int, device: torch.device | str) -> TextStates:
        """Random states float32[text, token, channel], decided by the text, and their mask."""
        states = torch.stack([self._states(text, max_length) for text in texts])
        mask = (torch.arange(max_length) < WORDS)[None].expand(len(texts), -1)
        return TextStates(states.to(device), mask.to(device))

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the states."""
        return {"text": f"invented, {WORDS} words of {self.channels} channels"}

    def _states(self, text: str, length: int) -> Tensor:
        stream = torch.Generator().manual_seed(hashed_seed("peer", text))
        return torch.randn(length, self.channels, generator=stream)


def invent_text(conditioner: nn.Module) -> None:
    """Gives every T5 in a conditioner such an encoder."""
    for module in conditioner.modules():
        if isinstance(module, T5):
            module.use(InventedText(module.inner))


def invented(conditioner: nn.Module, text: str) -> TextStates:
    """What the only T5 of a conditioner then reads, [1, token, channel] and [1, token]."""
    (module,) = (module for module in conditioner.modules() if isinstance(module, T5))
    return InventedText(module.inner)([text], module.config.max_length, "cpu")
