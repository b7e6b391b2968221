"""The official text conditioner: a frozen T5 encoder, which is never part of the checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.config import T5Config
from arc_eval.models.t5_architectures import architecture
from arc_eval.models.t5_encoder import T5Encoder, TextEncoder, TextStates, random_t5
from arc_eval.models.t5_pretrained import pretrained_identity, pretrained_t5
from arc_eval.records.prompt import Prompt

__all__ = ["T5", "T5Encoder", "TextEncoder", "TextStates", "pretrained_t5", "random_t5"]

KEPT = 256  # captions whose states are remembered; 50 MB for t5-base at 64 tokens


class T5(nn.Module):
    """Captions to float[clip, max_length, channel]; padded positions are exactly zero.

    The encoder is the published one, loaded at the first use, unless `use` gives another. It is kept
    outside the module's parameters, as in the official checkpoints; `proj_out` exists only where the
    channels differ. States of the last captions are remembered. Captions encoded in one call share a
    batch, on which their last bits may depend: whoever needs the same bits every time asks for one.
    """

    place: Tensor

    def __init__(self, config: T5Config, channels: int) -> None:
        super().__init__()
        self.config = config
        self.inner = architecture(config.t5_model_name).channels
        self.proj_out = nn.Identity() if self.inner == channels else nn.Linear(self.inner, channels)
        # Follows the module's device and precision: there may be no parameter to ask. It holds nothing,
        # so it is real even in a module that is built on the meta device.
        self.register_buffer("place", torch.empty(0, device="cpu"), persistent=False)
        # In a tuple, which nn.Module does not search for submodules.
        self._encoder: tuple[TextEncoder, ...] = ()
        self._known: dict[str, TextStates] = {}

    def use(self, encoder: TextEncoder) -> None:
        """Encodes captions with this from now on; its states must be as wide as those of the named T5."""
        self._encoder = (encoder,)
        self.forget()

    def identity(self) -> Mapping[str, str]:
        """What decides the states: the files of the encoder, or how it was made. Loads no encoder.

        Raises CheckpointError if the files cannot be had.
        """
        if self._encoder:
            return self._encoder[0].identity()
        return pretrained_identity(self.config.t5_model_name)

    def forget(self) -> None:
        """Empties the memory of captions, so that the next call runs the encoder: before timing it."""
        self._known.clear()

    def forward(self, prompts: Sequence[Prompt]) -> Tensor:
        """float[clip, max_length, channel]. Raises CheckpointError if the encoder cannot be loaded."""
        found = self._states([prompt.text for prompt in prompts])
        states = torch.stack([each.states for each in found]).to(self.place)
        mask = torch.stack([each.mask for each in found])
        out: Tensor = self.proj_out(states)
        return out * mask[..., None].to(out.dtype)

    def _states(self, texts: Sequence[str]) -> list[TextStates]:
        """One row for each text, the unknown ones encoded together; the last KEPT are remembered."""
        found = {text: self._known.pop(text) for text in dict.fromkeys(texts) if text in self._known}
        unknown = [text for text in dict.fromkeys(texts) if text not in found]
        if unknown:
            found |= zip(unknown, self._encode(unknown), strict=True)
        self._known |= found
        for text in list(self._known)[:-KEPT]:
            del self._known[text]
        return [found[text] for text in texts]

    # What is born in inference mode, an encoder loaded at its first use too, cannot take part in training.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _encode(self, texts: Sequence[str]) -> list[TextStates]:
        if not self._encoder:
            self._encoder = (pretrained_t5(self.config.t5_model_name),)
        states, mask = self._encoder[0](texts, self.config.max_length, self.place.device)
        expected = (len(texts), self.config.max_length, self.inner)
        if states.shape != expected or mask.shape != expected[:2]:
            raise CheckpointError(
                f"the text encoder gave states {list(states.shape)} and a mask {list(mask.shape)}; "
                f"{self.config.t5_model_name!r} must give {list(expected)} and {list(expected[:2])}"
            )
        # Copies, since a remembered row would otherwise keep its whole batch alive.
        return [TextStates(*(part.clone() for part in row)) for row in zip(states, mask, strict=True)]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # Every move to another device or precision comes through here.
        self.forget()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]
