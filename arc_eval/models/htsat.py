"""HTSAT, the audio tower of LAION-CLAP: a Swin transformer over a mel spectrogram folded into a square.

Names are those of the released files. With fusion, a clip of more than 10 s brings three crops beside the
whole, and the two are mixed by attention over channels. Source: Chen et al. 2022; Wu et al. 2023;
laion-clap 1.1.7.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.models.fast_linear import linear_gelu

MELS, SIDE, PATCH, WINDOW = 64, 256, 4, 8
FOLDS = SIDE // MELS
HEADS = (4, 8, 16, 32)


@dataclass(frozen=True)
class HtsatConfig:
    """`tiny` with fusion is 630k-audioset-fusion-best; `base` without is the music checkpoints."""

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    fusion: bool = True

    @property
    def features(self) -> int:
        """Numbers of the last stage."""
        return self.width << (len(self.depths) - 1)


class Fusion(nn.Module):
    """Whole and crops, float[clip, channel, row, column], mixed channel by channel and place by place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        few = width // 4
        self.local_att = nn.Sequential(
            nn.Conv2d(width, few, 1),
            nn.BatchNorm2d(few),
            nn.ReLU(),
            nn.Conv2d(few, width, 1),
            nn.BatchNorm2d(width),
        )
        self.global_att = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, few, 1),
            nn.BatchNorm2d(few),
            nn.ReLU(),
            nn.Conv2d(few, width, 1),
            nn.BatchNorm2d(width),
        )

    def forward(self, whole: Tensor, crops: Tensor) -> Tensor:
        both = whole + crops
        share = torch.sigmoid(self.local_att(both) + self.global_att(both))
        return 2 * whole * share + 2 * crops * (1 - share)


class PatchEmbed(nn.Module):
    """float[clip, 1 or 4, 256, 256] to tokens float[clip, 64, 64, width]."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, config.width, PATCH, PATCH)
        self.norm = nn.LayerNorm(config.width)
        if config.fusion:
            self.mel_conv2d = nn.Conv2d(1, config.width, (PATCH, 3 * PATCH), (PATCH, 3 * PATCH))
            self.fusion_model = Fusion(config.width)

    def forward(self, images: Tensor, longer: Tensor) -> Tensor:
        # A convolution of patches that do not overlap is a product, which leaves a token's numbers together.
        side = SIDE // PATCH
        patches = images[:, 0].reshape(-1, side, PATCH, side, PATCH).transpose(2, 3)
        tokens = F.linear(patches.flatten(3), self.proj.weight.flatten(1), self.proj.bias)
        if longer.any():
            crops = images[longer, 1:]
            told = self.mel_conv2d(crops.reshape(-1, 1, SIDE, SIDE))
            told = told.view(len(crops), -1, *told.shape[1:]).permute(0, 2, 3, 1, 4).flatten(3)
            told = F.pad(told, (0, side - told.shape[-1]))
            fused = self.fusion_model(tokens[longer].permute(0, 3, 1, 2), told).permute(0, 2, 3, 1)
            tokens = tokens.index_put((longer.nonzero()[:, 0],), fused)
        out: Tensor = self.norm(tokens)
        return out


class Attention(nn.Module):
    """Within windows of 8 by 8 tokens: float[clip, window, 64, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def bias(self, shifted: bool, side: int) -> Tensor:
        """float[window or 1, head, 64, 64], what is added before the softmax."""
        table = self.relative_position_bias_table[relative_places()].permute(2, 0, 1)[None]
        return table + apart(side).to(table)[:, None] if shifted else table

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        clips, windows, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(clips * windows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = bias.expand(clips, windows, -1, -1, -1).flatten(0, 1)
        read = attended(q, k, v, mask).transpose(1, 2)
        out: Tensor = self.proj(read.reshape(clips, windows, tokens, -1))
        return out


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention of float[window, head, token, feature] with a mask that is added.

    PyTorch's fused kernel takes twice the time of plain products in bfloat16 on a CPU, for so few tokens.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = torch.baddbmm(mask.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5)
    return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view_as(q)


class Mlp(nn.Module):
    """Two linear layers, four times as wide between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(linear_gelu(self.fc1, x))
        return out


class Block(nn.Module):
    """Attention in windows, of which every second block shifts its own by half; then two layers."""

    def __init__(self, width: int, heads: int, side: int, shifted: bool) -> None:
        super().__init__()
        self.side, self.shift = side, WINDOW // 2 if shifted and side > WINDOW else 0
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """float[clip, side, side, width]."""
        there, back = window_order(self.side, self.shift, x.device)
        tokens = self.norm1(x).flatten(1, 2).index_select(1, there).unflatten(1, (-1, WINDOW**2))
        seen = self.attn(tokens, self.attn.bias(bool(self.shift), self.side))
        x = x + seen.flatten(1, 2).index_select(1, back).view_as(x)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Merging(nn.Module):
    """Four neighbours to one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return out


class Stage(nn.Module):
    """Blocks of one width, then merging unless it is the last."""

    def __init__(self, width: int, depth: int, heads: int, side: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, side, place % 2 == 1) for place in range(depth))
        self.downsample = None if last else Merging(width)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class Htsat(nn.Module):
    """float32[clip, 1 or 4, frame, 64] decibel mels to float32[clip, features]."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(MELS)
        self.patch_embed = PatchEmbed(config)
        stages = len(config.depths)
        self.layers = nn.ModuleList(
            Stage(
                config.width * 2**place, depth, HEADS[place], SIDE // PATCH // 2**place, place == stages - 1
            )
            for place, depth in enumerate(config.depths)
        )
        self.norm = nn.LayerNorm(config.features)

    def forward(self, mels: Tensor, longer: Tensor) -> Tensor:
        normalised = self.bn0(mels.transpose(1, 3)).transpose(1, 3)
        frames = SIDE * FOLDS
        stretched = F.interpolate(normalised, (frames, MELS), mode="bicubic", align_corners=True)
        folded = stretched.transpose(2, 3).reshape(*stretched.shape[:2], MELS, FOLDS, SIDE)
        images = folded.transpose(2, 3).flatten(2, 3)
        x = self.patch_embed(images, longer)
        for stage in self.layers:
            x = stage(x)
        out: Tensor = self.norm(x).mean((1, 2))
        return out


def parted(x: Tensor) -> Tensor:
    """float[clip, side, side, width] to float[clip, window, 64, width]."""
    clips, side, _, width = x.shape
    count = side // WINDOW
    return (
        x.view(clips, count, WINDOW, count, WINDOW, width).transpose(2, 3).reshape(clips, count**2, -1, width)
    )


@cache
def window_order(side: int, shift: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """int64[side * side] twice: the tokens of one window after the other, and the way back."""
    places = torch.arange(side * side, device=device).view(1, side, side, 1).roll((-shift, -shift), (1, 2))
    there = parted(places).flatten()
    return there, there.argsort()


@cache
def relative_places() -> Tensor:
    """int64[64, 64]: which row of the bias table stands between two tokens of a window."""
    rows, columns = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    row, column = rows.flatten(), columns.flatten()
    down = row[:, None] - row + WINDOW - 1
    across = column[:, None] - column + WINDOW - 1
    return down * (2 * WINDOW - 1) + across


@cache
def apart(side: int) -> Tensor:
    """float32[window, 64, 64]: -100 between tokens that only the shift has brought together."""
    part = torch.zeros(side, dtype=torch.long)
    part[-WINDOW:], part[-WINDOW // 2 :] = 1, 2
    region = parted((3 * part[:, None] + part)[None, :, :, None])[0, :, :, 0]
    return torch.where(region[:, None] == region[:, :, None], 0.0, -100.0)
