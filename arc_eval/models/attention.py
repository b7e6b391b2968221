"""Transformer parts of the official DiT: pre-norm, optional query-key LayerNorm, partial rotary positions.

Tokens are float[clip, token, channel]. Attribute names are the official state-dict keys; every
branch that adds to the residual stream starts at zero, as the official initialisation has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Norm(nn.Module):
    """Layer norm with a learned scale; the shift is a buffer of zeros that checkpoints carry."""

    beta: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.register_buffer("beta", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta, 1e-5)


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines, float[token, rotated channel], of every position."""

    cosine: Tensor
    sine: Tensor


class Rotary(nn.Module):
    """Rotary positions over the first max(head_dim / 2, 32) channels of each head, in NeoX order."""

    inv_freq: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        rotated = max(head_dim // 2, 32)
        self.register_buffer("inv_freq", 10000.0 ** -(torch.arange(0, rotated, 2).float() / rotated))

    def forward(self, tokens: int) -> Rotation:
        """Angles are taken in float32: bfloat16 cannot tell neighbouring positions apart."""
        angles = torch.outer(torch.arange(tokens, device=self.inv_freq.device).float(), self.inv_freq)
        angles = torch.cat((angles, angles), dim=-1)
        return Rotation(angles.cos(), angles.sin())

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # Every move to another device or precision comes through here; frequencies keep their precision.
        exact = self.inv_freq
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not exact.is_meta:
            self.inv_freq = exact.to(self.inv_freq.device)
        return self


def rotate(
    x: Tensor,  # float[clip, head, token, channel]
    rotation: Rotation,
) -> Tensor:
    """Turns the first channels by their token's angles; the rest pass."""
    size = rotation.cosine.shape[-1]
    turned, rest = x[..., :size], x[..., size:]
    first, second = turned.chunk(2, dim=-1)
    quarter = torch.cat((-second, first), dim=-1)
    turned = turned * rotation.cosine.to(x.dtype) + quarter * rotation.sine.to(x.dtype)
    return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


def split_heads(x: Tensor, head_dim: int) -> Tensor:
    """float[clip, token, head * channel] to float[clip, head, token, channel]."""
    return x.view(*x.shape[:-1], -1, head_dim).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


# Up to here the scores of a short sequence stay in the cache, and batched products beat the CPU's fused
# kernel, which is up to 10 times slower in bfloat16 or when float32 products go through oneDNN.
SHORT = 512


def attend(
    query: Tensor,  # float[clip, head, token, channel]
    key: Tensor,  # float[clip, head, context token, channel]
    value: Tensor,  # float[clip, head, context token, channel]
    readable: Tensor | None = None,  # bool[clip, 1, 1, context token]
) -> Tensor:
    """Softmax attention, float[clip, head, token, channel]; context that is not readable gets no weight."""
    if query.device.type != "cpu" or max(query.shape[2], key.shape[2]) > SHORT:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=readable)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if readable is not None:
        scores = scores.masked_fill(~readable, -torch.inf)
    read: Tensor = scores.softmax(dim=-1).to(value.dtype) @ value
    return read


def _head_norm(head_dim: int, wanted: bool) -> nn.Module:
    return nn.LayerNorm(head_dim, eps=1e-6) if wanted else nn.Identity()


def _zero_linear(inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=bias)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    return linear


class SelfAttention(nn.Module):
    """Every token reads every token; positions enter by rotation after the query-key norm."""

    def __init__(self, width: int, head_dim: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = _zero_linear(width, width, bias=False)
        self.q_norm = _head_norm(head_dim, qk_norm)
        self.k_norm = _head_norm(head_dim, qk_norm)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        query, key, value = (split_heads(part, self.head_dim) for part in self.to_qkv(x).chunk(3, dim=-1))
        query = rotate(self.q_norm(query), rotation)
        key = rotate(self.k_norm(key), rotation)
        return self.to_out(merge_heads(attend(query, key, value)))  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """Every token reads the context; no positions, no mask: zero tokens take part by design.

    A context narrower than the tokens has fewer heads, each shared by several query heads.
    """

    def __init__(self, width: int, context_dim: int, head_dim: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.sharing = width // context_dim
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * context_dim, bias=False)
        self.to_out = _zero_linear(width, width, bias=False)
        self.q_norm = _head_norm(head_dim, qk_norm)
        self.k_norm = _head_norm(head_dim, qk_norm)

    def forward(
        self,
        x: Tensor,  # float[clip, token, channel]
        context: Tensor,  # float[clip, context token, context channel]
    ) -> Tensor:
        query = self.q_norm(split_heads(self.to_q(x), self.head_dim))
        key, value = (split_heads(part, self.head_dim) for part in self.to_kv(context).chunk(2, dim=-1))
        key = self.k_norm(key)
        if self.sharing > 1:
            key = key.repeat_interleave(self.sharing, dim=1)
            value = value.repeat_interleave(self.sharing, dim=1)
        return self.to_out(merge_heads(attend(query, key, value)))  # type: ignore[no-any-return]


class GatedLinear(nn.Module):
    """One projection to a value and a gate; value times SiLU(gate)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.silu(gate)
        return gated


class FeedForward(nn.Module):
    """Gated feed-forward, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # The identity holds the place of the official dropout, which numbers the keys.
        self.ff = nn.Sequential(
            GatedLinear(width, 4 * width), nn.Identity(), _zero_linear(4 * width, width, bias=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(x)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Self-attention, cross-attention, feed-forward; each reads a normed copy and adds to the stream."""

    def __init__(self, width: int, context_dim: int, head_dim: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.pre_norm = Norm(width)
        self.self_attn = SelfAttention(width, head_dim, qk_norm=qk_norm)
        self.cross_attend_norm = Norm(width)
        self.cross_attn = CrossAttention(width, context_dim, head_dim, qk_norm=qk_norm)
        self.ff_norm = Norm(width)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, context: Tensor, rotation: Rotation) -> Tensor:
        x = x + self.self_attn(self.pre_norm(x), rotation)
        x = x + self.cross_attn(self.cross_attend_norm(x), context)
        return x + self.ff(self.ff_norm(x))  # type: ignore[no-any-return]
