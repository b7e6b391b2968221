"""The tiny family's text encoder: hashed words through a small pre-norm transformer.

A caption is lower-cased and cut into words and numbers; each is hashed (CRC-32) into a bucket of the
vocabulary, so there is no vocabulary file to lose. Bucket 0 is padding.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor, nn

from arc_eval.models.attention import attend, merge_heads, split_heads
from arc_eval.models.config import WordsConfig
from arc_eval.records.prompt import Prompt

WORD = re.compile(r"[^\W\d_]+|\d+")


@lru_cache(maxsize=1 << 16)
def tokenize(text: str, vocabulary: int) -> tuple[int, ...]:
    """Buckets 1 .. vocabulary - 1 of a text's words and numbers, the same on every machine."""
    return tuple(1 + crc32(word.encode()) % (vocabulary - 1) for word in WORD.findall(text.lower()))


class WordsLayer(nn.Module):
    """Self-attention and feed-forward over the words, each on a normed copy; padding is never read."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.head_dim = width // heads
        self.attention_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self,
        x: Tensor,  # float[clip, word, width]
        readable: Tensor,  # bool[clip, word]
    ) -> Tensor:
        parts = self.to_qkv(self.attention_norm(x)).chunk(3, dim=-1)
        query, key, value = (split_heads(part, self.head_dim) for part in parts)
        read = attend(query, key, value, readable[:, None, None])
        x = x + self.to_out(merge_heads(read))
        return x + self.feed(self.feed_norm(x))  # type: ignore[no-any-return]


class Words(nn.Module):
    """Captions to float[clip, max_length, channel]; longer captions are cut, padding is exactly zero."""

    def __init__(self, config: WordsConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.empty(config.max_length, config.width))
        self.layers = nn.ModuleList(WordsLayer(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.project_out = nn.Linear(config.width, channels)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """int64[clip, max_length], padded with 0, on the CPU."""
        length = self.config.max_length
        rows = [tokenize(text, self.config.vocabulary)[:length] for text in texts]
        return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows]).reshape(-1, length)

    def encode(
        self,
        tokens: Tensor,  # int64[clip, max_length]
    ) -> Tensor:
        """float[clip, max_length, channel]."""
        words = tokens != 0
        readable = words.clone()
        # A caption without a word would leave softmax nothing to read; its output is zeroed below.
        readable[:, 0] = True
        x = self.embedding(tokens) + self.positions
        for layer in self.layers:
            x = layer(x, readable)
        out: Tensor = self.project_out(self.norm(x))
        return out * words[..., None].to(out.dtype)

    def forward(self, prompts: Sequence[Prompt]) -> Tensor:
        """float[clip, max_length, channel]."""
        return self.encode(self.tokens([prompt.text for prompt in prompts]).to(self.positions.device))
