"""The official diffusion transformer: latents, time, prompt tokens and a global vector to a velocity.

Latents are float[clip, channel, frame]; time t runs from 0 (data) to 1 (noise) and is fed as it is.
Attribute names are the official state-dict keys. Source: stable-audio-tools, `DiffusionTransformer`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from arc_eval.models.attention import Block, Rotary
from arc_eval.models.dit_config import DiTConfig


class FourierFeatures(nn.Module):
    """Cosines and sines of a number at learned frequencies: float[clip] to float[clip, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(128, 1))

    def forward(self, t: Tensor) -> Tensor:
        angles = 2 * math.pi * F.linear(t[:, None], self.weight)
        return torch.cat((angles.cos(), angles.sin()), dim=-1)


class Transformer(nn.Module):
    """The stack of blocks between two projections."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width, head_dim = config.embed_dim, config.head_dim
        self.project_in = nn.Linear(config.io_channels, width, bias=False)
        self.project_out = nn.Linear(width, config.io_channels, bias=False)
        self.rotary_pos_emb = Rotary(head_dim)
        self.recompute = False
        """In training: whether a block's activations are computed again for its gradient, to save memory."""
        qk_norm = config.attn_kwargs.qk_norm == "ln"
        self.layers = nn.ModuleList(
            Block(width, config.context_dim, head_dim, qk_norm=qk_norm) for _ in range(config.depth)
        )

    def stream(self, tokens: Tensor, context: Tensor, prepended: Tensor, layers: int) -> Tensor:
        """The residual stream after the first `layers` blocks, the prepended token at position 0."""
        x = torch.cat((prepended, self.project_in(tokens)), dim=1)
        rotation = self.rotary_pos_emb(x.shape[1])
        for block in self.layers[:layers]:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, context, rotation, use_reentrant=False)
            else:
                x = block(x, context, rotation)
        return x


def _embedding(inputs: int, outputs: int, *, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=bias), nn.SiLU(), nn.Linear(outputs, outputs, bias=bias)
    )


def _zero_convolution(channels: int) -> nn.Conv1d:
    convolution = nn.Conv1d(channels, channels, 1, bias=False)
    nn.init.zeros_(convolution.weight)
    return convolution


class DiT(nn.Module):
    """Predicts the velocity (or the v of a v-objective model) of noisy latents."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.config = config
        self.timestep_features = FourierFeatures()
        self.to_timestep_embed = _embedding(256, width, bias=True)
        self.to_cond_embed = _embedding(config.cond_token_dim, config.context_dim, bias=False)
        self.to_global_embed = _embedding(config.global_cond_dim, width, bias=False)
        self.preprocess_conv = _zero_convolution(config.io_channels)
        self.postprocess_conv = _zero_convolution(config.io_channels)
        self.transformer = Transformer(config)

    @property
    def depth(self) -> int:
        """How many blocks it holds."""
        return len(self.transformer.layers)

    def forward(
        self,
        x: Tensor,  # float[clip, channel, frame]
        t: Tensor,  # float[clip]
        cross: Tensor,  # float[clip, token, channel]
        global_: Tensor,  # float[clip, channel]
    ) -> Tensor:
        """float[clip, channel, frame]."""
        stream = self.hidden(x, t, cross, global_, self.depth - 1)
        # The prepended token leaves before the projection, which treats every token alike.
        out = self.transformer.project_out(stream[:, 1:]).transpose(1, 2)
        return out + self.postprocess_conv(out)  # type: ignore[no-any-return]

    def hidden(
        self,
        x: Tensor,  # float[clip, channel, frame]
        t: Tensor,  # float[clip]
        cross: Tensor,  # float[clip, token, channel]
        global_: Tensor,  # float[clip, channel]
        layer: int,
    ) -> Tensor:
        """The residual stream after block `layer` (0-based), float[clip, 1 + frame, channel].

        Token 0 is the prepended one (time and global conditioning). Raises ValueError if there is
        no such block.
        """
        if not 0 <= layer < self.depth:
            raise ValueError(f"layer {layer} does not exist: this DiT has blocks 0 to {self.depth - 1}")
        context = self.to_cond_embed(cross)
        prepended = self.to_global_embed(global_) + self.to_timestep_embed(self.timestep_features(t))
        tokens = (x + self.preprocess_conv(x)).transpose(1, 2)
        return self.transformer.stream(tokens, context, prepended[:, None], layer + 1)
