"""PaSST: a vision transformer that reads 10 s of mel spectrogram and names what is heard in it.

`passt_s_swa_p16_128_ap476` of arXiv 2110.05069: patches of 16 x 16 every 10 bands and frames, two tokens
in front of them (`cls`, `dist`), twelve pre-norm blocks. Attribute names are the official state-dict keys.
The result is the official one to rounding; the last block works for the two tokens alone, as nothing
reads the others.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arc_eval.models.fast_linear import linear_gelu
from arc_eval.models.passt_mel import BANDS

PATCH, STRIDE = 16, 10
FRAMES = 1000
"""Of 10 s; the positions reach no further."""
LEADING = 2
"""Tokens before the patches: `cls` and `dist`."""
HEAD = 64
"""Channels of an attention head."""


def places(length: int) -> int:
    """How many patches fit on an axis."""
    return (length - PATCH) // STRIDE + 1 if length >= PATCH else 0


@dataclass(frozen=True)
class PasstConfig:
    """Sizes; the defaults are the official ones."""

    width: int = 768
    depth: int = 12
    classes: int = 527

    @property
    def heads(self) -> int:
        """Attention heads of a block."""
        return self.width // HEAD


@dataclass(frozen=True)
class Heard:
    """What the network makes of each window."""

    logits: Tensor
    """float[clip, class]"""
    features: Tensor
    """float[clip, width]: the mean of the two leading tokens."""


class Patches(nn.Module):
    """Overlapping squares of the spectrogram, each a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, STRIDE)

    def forward(self, mel: Tensor) -> Tensor:
        """float[clip, mel, frame] to float[clip, row, column, width]; rows of frequency, columns of time."""
        squares = mel.unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE).flatten(3)
        # As a matrix product: a convolution would round to 10 bits on CUDA.
        return F.linear(squares, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Every token reads every token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """float[clip, token, width] to the same."""
        query, key, value = (
            self.qkv(x.to(self.qkv.weight.dtype)).unflatten(-1, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        )
        read = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(read.transpose(1, 2).flatten(2))
        return out

    def of_first(
        self,
        x: Tensor,  # float[clip, token, width]
        kept: int,
    ) -> Tensor:
        """float[clip, kept, width]: what the first tokens read, without keys and values of the others.

        q . (K x) is (K' q) . x, and a mean of V x is V of a mean of x. The keys' bias adds the same to all
        scores of a query, which the softmax takes away.
        """
        x = x.to(self.qkv.weight.dtype)
        ask, answer, tell = self.qkv.weight.view(3, -1, HEAD, x.shape[-1])
        bias = self.qkv.bias.view(3, -1, HEAD)
        query = torch.einsum("btw,hcw->bhtc", x[:, :kept], ask) + bias[0, :, None]
        scores = torch.einsum("bhtc,hcw,bsw->bhts", query * HEAD**-0.5, answer, x)
        mixed = torch.einsum("bhts,bsw->bhtw", scores.softmax(-1), x)
        read = torch.einsum("bhtw,hcw->bthc", mixed, tell) + bias[2]
        out: Tensor = self.proj(read.flatten(2))
        return out


class FeedForward(nn.Module):
    """Four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(linear_gelu(self.fc1, x.to(self.fc1.weight.dtype)))
        return out


class Block(nn.Module):
    """Attention and feed-forward; each reads a normed copy and adds to the stream."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """float[clip, token, width] to the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]

    def of_first(self, x: Tensor, kept: int) -> Tensor:
        """float[clip, kept, width]: the first tokens of what `forward` gives."""
        x = x[:, :kept] + self.attn.of_first(self.norm1(x), kept)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Passt(nn.Module):
    """Mel spectrograms of up to 10 s to logits and features."""

    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_embed = Patches(width)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.dist_token = nn.Parameter(torch.empty(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.empty(1, LEADING, width))
        self.freq_new_pos_embed = nn.Parameter(torch.empty(1, width, places(BANDS), 1))
        self.time_new_pos_embed = nn.Parameter(torch.empty(1, width, 1, places(FRAMES)))
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.classes))
        self.head_dist = nn.Linear(width, config.classes)  # in every checkpoint, read by nothing

    def compute_in(self, dtype: torch.dtype) -> "Passt":
        """Itself, with the products of its blocks in `dtype`; norms, stream and heads stay as they are."""
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                module.to(dtype)
        return self

    def forward(self, mel: Tensor) -> Heard:
        """mel: float[clip, mel, frame], 16 to 1009 frames."""
        x = self.tokens(mel)
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.norm(cast(Block, self.blocks[-1]).of_first(x, LEADING))
        features = x.mean(1)
        return Heard(self.head(features), features)

    def tokens(self, mel: Tensor) -> Tensor:
        """float[clip, token, width]: both leading tokens, then the patches, frequency by frequency.

        Raises ValueError for more or fewer frames than the positions know.
        """
        columns = places(mel.shape[-1])
        if not 0 < columns <= places(FRAMES):
            raise ValueError(f"PaSST reads {PATCH} to {FRAMES + STRIDE - 1} frames, not {mel.shape[-1]}")
        patches = self.patch_embed(mel)
        patches = patches + self.time_new_pos_embed[..., :columns].permute(0, 2, 3, 1)
        patches = patches + self.freq_new_pos_embed.permute(0, 2, 3, 1)
        leading = torch.cat([self.cls_token, self.dist_token], 1) + self.new_pos_embed
        return torch.cat([leading.expand(len(mel), -1, -1), patches.flatten(1, 2)], 1)
