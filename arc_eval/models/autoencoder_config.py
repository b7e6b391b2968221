"""The autoencoder's part of `model_config.json`: official keys, and the tiny family's `spectral` type."""

from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from arc_eval.models.schema import Count, Part

Multiples = Annotated[tuple[Count, ...], Field(min_length=1)]
# An odd stride would give one sample too few on the way back.
Strides = Annotated[tuple[Annotated[int, Field(ge=2, multiple_of=2)], ...], Field(min_length=1)]


class OobleckEncoderConfig(Part):
    """`latent_dim` counts mean and scale: twice the autoencoder's."""

    in_channels: Count = 2
    channels: Count = 128
    latent_dim: Count = 128
    c_mults: Multiples = (1, 2, 4, 8, 16)
    strides: Strides = (2, 4, 4, 8, 8)
    use_snake: Literal[True] = True
    antialias_activation: Literal[False] = False


class OobleckDecoderConfig(Part):
    """Multiples and strides are listed as the encoder's: from the audio side inwards."""

    out_channels: Count = 2
    channels: Count = 128
    latent_dim: Count = 64
    c_mults: Multiples = (1, 2, 4, 8, 16)
    strides: Strides = (2, 4, 4, 8, 8)
    use_snake: Literal[True] = True
    final_tanh: bool = False
    antialias_activation: Literal[False] = False
    use_nearest_upsample: Literal[False] = False


class OobleckEncoderPart(Part):
    """Convolutions on the samples themselves."""

    type: Literal["oobleck"]
    config: OobleckEncoderConfig
    requires_grad: bool = True
    """Official training setting: kept, never read."""


class OobleckDecoderPart(Part):
    """The way back by transposed convolutions."""

    type: Literal["oobleck"]
    config: OobleckDecoderConfig
    requires_grad: bool = True
    """Official training setting: kept, never read."""
    soft_clip: Literal[False] = False


class SpectralPart(Part):
    """Ours. The encoder's `config` (a SpectralConfig, read by models.spectral) describes both directions."""

    type: Literal["spectral"]
    config: dict[str, Any] = Field(default_factory=dict)


class BottleneckConfig(Part):
    """Between encoder and decoder: a Gaussian over latents."""

    type: Literal["vae"] = "vae"


class AutoencoderConfig(Part):
    """`latent_dim` channels, one frame for `downsampling_ratio` samples, `io_channels` of audio."""

    encoder: Annotated[OobleckEncoderPart | SpectralPart, Field(discriminator="type")]
    decoder: Annotated[OobleckDecoderPart | SpectralPart, Field(discriminator="type")]
    bottleneck: BottleneckConfig = BottleneckConfig()
    latent_dim: Count
    downsampling_ratio: Count
    io_channels: Count

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.encoder.type != self.decoder.type:
            raise ValueError(f"encoder is {self.encoder.type!r} but decoder is {self.decoder.type!r}")
        if isinstance(self.encoder, OobleckEncoderPart):
            encoder = self.encoder.config
            _check_oobleck("encoder", encoder, encoder.in_channels, self, 2 * self.latent_dim)
        if isinstance(self.decoder, OobleckDecoderPart):
            decoder = self.decoder.config
            _check_oobleck("decoder", decoder, decoder.out_channels, self, self.latent_dim)
        return self


def _check_oobleck(
    name: str,
    part: OobleckEncoderConfig | OobleckDecoderConfig,
    audio_channels: int,
    whole: AutoencoderConfig,
    latent_dim: int,
) -> None:
    if len(part.c_mults) != len(part.strides):
        raise ValueError(f"the {name} has {len(part.c_mults)} c_mults but {len(part.strides)} strides")
    found = (audio_channels, part.latent_dim, prod(part.strides))
    expected = (whole.io_channels, latent_dim, whole.downsampling_ratio)
    if found != expected:
        words = "{} audio channels and {} latent channels every {} samples"
        raise ValueError(f"the {name} has {words.format(*found)}, must have {words.format(*expected)}")


def check_rates(whole: AutoencoderConfig, sample_rate: int) -> None:
    """Raises ValueError if a part that states its sample rate was made for another one.

    Spectral parts do. Convolutions work at any rate, so nothing in them can tell that it is wrong.
    """
    for name, part in (("encoder", whole.encoder), ("decoder", whole.decoder)):
        stated = part.config.get("sample_rate") if isinstance(part, SpectralPart) else None
        if stated not in (None, sample_rate):
            raise ValueError(f"sample_rate is {sample_rate}, but the autoencoder's {name} is for {stated} Hz")


class PretransformConfig(Part):
    """The autoencoder as a diffusion model holds it."""

    type: Literal["autoencoder"] = "autoencoder"
    config: AutoencoderConfig
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Latents are divided by it after encoding and multiplied by it before decoding."""
    iterate_batch: bool = False
    """This and the next three save memory in official training: kept, never read."""
    model_half: bool = False
    chunked: bool = False
    enable_grad: bool = False
