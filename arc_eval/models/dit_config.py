"""The network's part of `model_config.json`: official keys, and one legal value where we have one."""

from typing import Literal, Self

from pydantic import model_validator

from arc_eval.models.schema import Count, Part


class AttentionConfig(Part):
    """`qk_norm: ln` is an affine layer norm over each head's queries and keys."""

    qk_norm: Literal["none", "ln"] = "none"


class DiTConfig(Part):
    """Sizes of the diffusion transformer; the global vector is one token before the latents."""

    io_channels: Count
    embed_dim: Count
    depth: Count
    num_heads: Count
    cond_token_dim: Count
    global_cond_dim: Count
    project_cond_tokens: bool = True
    project_global_cond: bool = True
    transformer_type: Literal["continuous_transformer"] = "continuous_transformer"
    global_cond_type: Literal["prepend"] = "prepend"
    timestep_cond_type: Literal["global"] = "global"
    attn_kwargs: AttentionConfig = AttentionConfig()
    patch_size: Literal[1] = 1
    num_memory_tokens: Literal[0] = 0
    input_concat_dim: Literal[0] = 0
    prepend_cond_dim: Literal[0] = 0

    @property
    def head_dim(self) -> int:
        """Features of one attention head."""
        return self.embed_dim // self.num_heads

    @property
    def context_dim(self) -> int:
        """Channels of the tokens that cross-attention reads."""
        return self.embed_dim if self.project_cond_tokens else self.cond_token_dim

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.embed_dim % self.num_heads or self.head_dim % 2 or self.head_dim < 32:
            raise ValueError(
                f"embed_dim {self.embed_dim} over num_heads {self.num_heads} must give an even head "
                f"dimension of at least 32 (rotary positions turn 32 dimensions or more)"
            )
        if self.context_dim % self.head_dim or self.num_heads % (self.context_dim // self.head_dim):
            raise ValueError(
                f"cross-attention tokens of {self.context_dim} channels do not divide into heads of "
                f"{self.head_dim} that {self.num_heads} query heads can share"
            )
        if not self.project_global_cond and self.global_cond_dim != self.embed_dim:
            raise ValueError(
                f"global_cond_dim {self.global_cond_dim} must equal embed_dim {self.embed_dim} "
                f"when project_global_cond is false"
            )
        return self
