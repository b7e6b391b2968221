"""T5's encoder from the transformers library: captions to tokens to hidden states.

A caption is cut so that the end-of-text token (1) still fits, ended by it and padded with 0 to the
model's length; every position is computed, and the mask says which ones are words. The network is
frozen and shared by every model of the process that names it. It runs in float32: the official pipeline's
float16 only approximates these numbers, and is slow on many CPUs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.t5_architectures import architecture
from arc_eval.models.words import tokenize
from arc_eval.seeding import initial_weights

PAD, END, UNKNOWN = 0, 1, 2
VOCABULARY = 32128


class TextStates(NamedTuple):
    """states: float32[text, token, channel]; mask: bool[text, token], false where padded."""

    states: Tensor
    mask: Tensor


class TextEncoder(Protocol):
    """Captions to the hidden states of their tokens; a caption's row depends on no other caption."""

    def __call__(self, texts: Sequence[str], max_length: int, device: torch.device) -> TextStates:
        """States and mask of `max_length` tokens for each text, on `device`."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the states."""
        ...


@dataclass(frozen=True)
class T5Encoder:
    """A frozen network and what cuts a caption into its token ids, the end-of-text token not among them."""

    network: nn.Module
    tokenize: Callable[[str], Sequence[int]]
    identity: Callable[[], Mapping[str, str]]
    """Everything that decides network and tokens; a question, since the answer may be in large files."""

    def __call__(self, texts: Sequence[str], max_length: int, device: torch.device) -> TextStates:
        """States of `max_length` tokens for each text; the network moves to `device` and stays there."""
        tokens = padded([self.tokenize(text) for text in texts], max_length)
        mask = tokens.mask.to(device)
        out = self.network.to(device)(input_ids=tokens.ids.to(device), attention_mask=mask.long())
        return TextStates(out.last_hidden_state.float(), mask)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a copied model (a moving average, a student) shares the frozen encoder."""
        return self


class Tokens(NamedTuple):
    """ids: int64[text, token]; mask: bool[text, token]."""

    ids: Tensor
    mask: Tensor


def padded(rows: Sequence[Sequence[int]], max_length: int) -> Tokens:
    """Each row cut to `max_length` - 1 tokens, ended and padded to `max_length`."""
    whole = [[*row[: max_length - 1], END] for row in rows]
    ids = [row + [PAD] * (max_length - len(row)) for row in whole]
    mask = [[True] * len(row) + [False] * (max_length - len(row)) for row in whole]
    return Tokens(torch.tensor(ids), torch.tensor(mask))


def published_options(name: str) -> dict[str, Any]:
    """The transformers configuration of a published T5's encoder."""
    size = architecture(name)
    return {
        "vocab_size": VOCABULARY,
        "d_model": size.channels,
        "d_kv": size.head_channels,
        "d_ff": size.inner,
        "num_layers": size.layers,
        "num_heads": size.heads,
        "feed_forward_proj": size.activation,
    }


def build_network(options: Mapping[str, Any]) -> nn.Module:
    """The encoder of a transformers configuration, frozen; the process's random stream fills it.

    Raises CheckpointError if transformers is not installed.
    """
    require_transformers()
    from transformers import T5Config, T5EncoderModel

    network: nn.Module = T5EncoderModel(T5Config.from_dict(dict(options)))
    return network.eval().requires_grad_(False)


def require_transformers() -> None:
    """Raises CheckpointError where transformers is not installed."""
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise CheckpointError(
            "the text conditioner T5 needs transformers: pip install 'arc_eval[models]'"
        ) from error


@cache
def random_t5(name: str, seed: int) -> T5Encoder:
    """A T5 of the published size whose weights `seed` decides: for latency and tests, it knows no language.

    Words are hashed to token ids, since there is no vocabulary. Raises CheckpointError if the name is
    unknown or transformers is not installed.
    """
    options = published_options(name)
    with initial_weights(seed):
        return T5Encoder(build_network(options), hashed_words, partial(random_identity, name, seed))


def random_identity(name: str, seed: int) -> Mapping[str, str]:
    """What decides a random T5: transformers draws its weights."""
    return {"t5": name, "seed": str(seed), "transformers": version("transformers")}


def hashed_words(text: str) -> list[int]:
    """Ids of a caption's words and numbers above those that have a meaning of their own."""
    return [UNKNOWN + bucket for bucket in tokenize(text, VOCABULARY - UNKNOWN)]
