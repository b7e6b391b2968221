"""The official text conditioner: a frozen T5 encoder from Hugging Face, never part of the checkpoint."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.config import T5_CHANNELS, T5Config
from arc_eval.records.prompt import Prompt


class T5(nn.Module):
    """Captions to float[clip, max_length, channel]; padded positions are exactly zero.

    The encoder is loaded at the first use and kept outside the module's parameters, as in the
    official checkpoints; `proj_out` exists only where the channels differ.
    """

    place: Tensor

    def __init__(self, config: T5Config, channels: int) -> None:
        super().__init__()
        self.config = config
        inner = T5_CHANNELS[config.t5_model_name]
        self.proj_out = nn.Identity() if inner == channels else nn.Linear(inner, channels)
        # Follows the module from device to device: there may be no parameter to ask.
        self.register_buffer("place", torch.empty(0), persistent=False)
        # A tuple, which nn.Module does not search for submodules.
        self._loaded: tuple[Any, Any] | None = None

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self._loaded = _tokenizer_and_encoder(self.config.t5_model_name)
        return self._loaded

    @torch.no_grad()
    def _states(self, texts: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
        tokenizer, encoder = self._load()
        batch = tokenizer(
            list(texts),
            truncation=True,
            max_length=self.config.max_length,
            padding="max_length",
            return_tensors="pt",
        ).to(device)
        states = encoder.to(device)(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        return states.last_hidden_state.float(), batch["attention_mask"]

    def forward(self, prompts: Sequence[Prompt]) -> Tensor:
        """float[clip, max_length, channel]. Raises CheckpointError if the encoder cannot be loaded."""
        states, mask = self._states([prompt.text for prompt in prompts], self.place.device)
        out: Tensor = self.proj_out(states)
        return out * mask[..., None].to(out.dtype)


def _tokenizer_and_encoder(name: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoTokenizer, T5EncoderModel
    except ImportError as error:
        raise CheckpointError(
            f"the text conditioner {name!r} needs transformers: pip install 'arc_eval[models]'"
        ) from error
    try:
        return AutoTokenizer.from_pretrained(name), T5EncoderModel.from_pretrained(name).eval()
    except OSError as error:
        raise CheckpointError(
            f"the text encoder {name!r} is neither in the local Hugging Face cache nor downloadable: {error}"
        ) from error
