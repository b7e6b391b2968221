"""Captions to token ids, padded to the 77 that CLAP was trained with."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from arc_eval.errors import CheckpointError

LENGTH = 77
BEGIN, PADDING, END = 0, 1, 2
Tokens = Callable[[Sequence[str]], tuple[Tensor, Tensor]]
"""Texts to int64[text, token] and a mask of the same shape."""


def roberta_tokens(name: str) -> Tokens:
    """RoBERTa's byte-pair encoding, from a folder or the hub; loaded when the first caption is read."""

    def tokens(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        found = _tokenizer(name)(
            list(texts), padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
        )
        return found["input_ids"], found["attention_mask"]

    return tokens


def byte_tokens(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """A token for each byte: no vocabulary, for weights that have learnt none."""
    ids = torch.full((len(texts), LENGTH), PADDING)
    for row, text in zip(ids, texts, strict=True):
        own = [BEGIN, *(3 + byte for byte in text.encode()[: LENGTH - 2]), END]
        row[: len(own)] = torch.tensor(own)
    return ids, (ids != PADDING).long()


@cache
def _tokenizer(name: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise CheckpointError("CLAP's captions need transformers: pip install 'arc_eval[models]'") from error
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{name}: no RoBERTa vocabulary there or in the hub's cache; set `tokenizer` of the extractor to "
            f"a folder that has it: {str(error).splitlines()[0]}"
        ) from error
