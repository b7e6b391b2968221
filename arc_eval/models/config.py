"""The official `model_config.json` as typed, frozen data; what this package cannot build is refused by name.

Keys and nesting are those of stable-audio-tools' `diffusion_cond` models. Two types are ours and only
ours: the `words` conditioner and the `spectral` autoencoder of the tiny family.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from arc_eval.errors import suggest
from arc_eval.models.autoencoder_config import PretransformConfig, check_rates
from arc_eval.models.dit_config import DiTConfig
from arc_eval.models.schema import Count, Part, parse_part, read_json
from arc_eval.models.t5_architectures import ARCHITECTURES


class T5Config(Part):
    """Captions are cut or padded to `max_length` tokens."""

    t5_model_name: str = "t5-base"
    max_length: Count = 128
    enable_grad: Literal[False] = False
    """A trained encoder would be in the checkpoint; the official ones are frozen and are not."""
    project_out: Literal[False] = False
    """A projection exists only where the channels differ."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.t5_model_name not in ARCHITECTURES:
            raise ValueError(
                f"no T5 encoder {self.t5_model_name!r}; {suggest(self.t5_model_name, ARCHITECTURES)}"
            )
        return self


class NumberConfig(Part):
    """Numbers are clamped to `min_val`..`max_val`."""

    min_val: float = 0.0
    max_val: float = 1.0

    @model_validator(mode="after")
    def _range(self) -> Self:
        if not self.min_val < self.max_val:
            raise ValueError(f"min_val {self.min_val} must be below max_val {self.max_val}")
        return self


class WordsConfig(Part):
    """Ours: hashed words through a small transformer encoder."""

    vocabulary: Annotated[int, Field(ge=2)]
    max_length: Count
    width: Count
    depth: Annotated[int, Field(ge=0)]
    heads: Count

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class T5Conditioning(Part):
    """The caption through a frozen T5 encoder, which is not in the checkpoint."""

    id: str
    type: Literal["t5"]
    config: T5Config


class NumberConditioning(Part):
    """The number is read from the prompt by `id`: `seconds_total` is its length, `seconds_start` is 0."""

    id: Literal["seconds_start", "seconds_total"]
    type: Literal["number"]
    config: NumberConfig


class WordsConditioning(Part):
    """The caption through our own small encoder, which is in the checkpoint."""

    id: str
    type: Literal["words"]
    config: WordsConfig


class ConditioningConfig(Part):
    """Every conditioner gives tokens of `cond_dim` channels."""

    default_keys: Mapping[str, str] = Field(default_factory=dict)
    """Where training data lacks a conditioner's value, whose to take instead. Kept: a prompt has them all."""
    configs: tuple[
        Annotated[T5Conditioning | NumberConditioning | WordsConditioning, Field(discriminator="type")], ...
    ]
    cond_dim: Count


Objective = Literal["v", "rectified_flow", "rf_denoiser"]
"""What the network predicts: the v of cosine diffusion, or a velocity (`rf_denoiser`: post-trained)."""

Absent = Annotated[tuple[str, ...], Field(max_length=0)]
"""Ways of conditioning that other models have: may be spelt out, must be empty."""


class DiffusionConfig(Part):
    """The network, what it predicts, and which conditioners it reads in which order."""

    type: Literal["dit"] = "dit"
    diffusion_objective: Objective = "v"
    cross_attention_cond_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    global_cond_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    input_concat_ids: Absent = ()
    prepend_cond_ids: Absent = ()
    distribution_shift_options: dict[str, Any] | None = None
    """Accepted and kept: official sampling by Euler, DPM-Solver++ and ping-pong does not read it."""
    config: DiTConfig


class NetworkConfig(Part):
    """Autoencoder, conditioners and network, whose sizes must fit one another."""

    pretransform: PretransformConfig
    conditioning: ConditioningConfig
    diffusion: DiffusionConfig
    io_channels: Count

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        dit, width = self.diffusion.config, self.conditioning.cond_dim
        ids = [conditioner.id for conditioner in self.conditioning.configs]
        if len(set(ids)) != len(ids):
            raise ValueError(f"conditioning.configs: an id appears twice: {ids}")
        for name in (*self.diffusion.cross_attention_cond_ids, *self.diffusion.global_cond_ids):
            if name not in ids:
                raise ValueError(
                    f"diffusion names conditioner {name!r}, which does not exist; {suggest(name, ids)}"
                )
        joined = width * len(self.diffusion.global_cond_ids)
        expected = {
            "io_channels": (self.io_channels, self.pretransform.config.latent_dim),
            "diffusion.config.io_channels": (dit.io_channels, self.io_channels),
            "diffusion.config.cond_token_dim": (dit.cond_token_dim, width),
            "diffusion.config.global_cond_dim": (dit.global_cond_dim, joined),
        }
        wrong = [f"{key} is {is_}, must be {must}" for key, (is_, must) in expected.items() if is_ != must]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class ModelConfig(Part):
    """A whole `model_config.json`. `sample_size` counts audio samples."""

    model_type: Literal["diffusion_cond"]
    sample_size: Count
    sample_rate: Count
    audio_channels: Count
    model: NetworkConfig
    training: dict[str, Any] | None = None
    """Official training settings: kept, never read."""

    @property
    def latent_frames(self) -> int:
        """How many latent frames the network always produces."""
        return self.sample_size // self.model.pretransform.config.downsampling_ratio

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        autoencoder = self.model.pretransform.config
        if self.sample_size % autoencoder.downsampling_ratio:
            raise ValueError(
                f"sample_size {self.sample_size} must be a multiple of downsampling_ratio "
                f"{autoencoder.downsampling_ratio}"
            )
        if autoencoder.io_channels != self.audio_channels:
            raise ValueError(
                f"audio_channels {self.audio_channels} differs from the autoencoder's io_channels "
                f"{autoencoder.io_channels}"
            )
        check_rates(autoencoder, self.sample_rate)
        return self


def load_config(path: Path) -> ModelConfig:
    """Reads a `model_config.json`. Raises CheckpointError if it is absent, not JSON or not supported."""
    return parse_part(ModelConfig, read_json(path), str(path))
