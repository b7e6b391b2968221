"""Audio to latents and back: an encoder, a variational bottleneck and a decoder of any supported type."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder_config import AutoencoderConfig, OobleckDecoderPart, OobleckEncoderPart
from arc_eval.models.bottleneck import Posterior
from arc_eval.models.oobleck import OobleckDecoder, OobleckEncoder
from arc_eval.models.oobleck_inference import Windowed
from arc_eval.models.schema import parse_part

if TYPE_CHECKING:  # the spectral parts bring signal-processing imports that official models never need
    from arc_eval.models.spectral import SpectralConfig


class Autoencoder(nn.Module):
    """encoder: float[clip, channel, time] to mean and scale stacked on channels; decoder: the way back."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def prepare(self, window: int, dtype: torch.dtype) -> None:
        """Makes it fast and small, for inference alone: outputs stay the same, weights cannot be saved.

        Oobleck networks get their weight norm folded, work on `window` latent frames at a time, and
        compute in `dtype`. Raises CheckpointError if other networks are to leave float32.
        """
        if isinstance(self.encoder, OobleckEncoder) and isinstance(self.decoder, OobleckDecoder):
            self.encoder, self.decoder = Windowed(self.encoder, window), Windowed(self.decoder, window)
            self.to(dtype)
        elif dtype != torch.float32:
            raise CheckpointError(f"this autoencoder computes its spectra in float32, not in {dtype}")

    def encode_distribution(self, audio: Tensor) -> Posterior:
        """The Gaussian over latents that the bottleneck reads from the encoder's output."""
        return Posterior.of(self.encoder(audio))

    def encode(self, audio: Tensor) -> Tensor:
        """float[clip, channel, time] to the mean latents float[clip, latent, frame]."""
        return self.encode_distribution(audio).mean

    def decode(self, latents: Tensor) -> Tensor:
        """float[clip, latent, frame] to float[clip, channel, frame * ratio]."""
        return self.decoder(latents)  # type: ignore[no-any-return]


def build_autoencoder(config: AutoencoderConfig) -> Autoencoder:
    """The autoencoder that a configuration describes, freshly initialised.

    Raises CheckpointError if a spectral part's own sizes contradict the configuration around it.
    """
    return Autoencoder(_encoder(config), _decoder(config))


def _encoder(config: AutoencoderConfig) -> nn.Module:
    if isinstance(config.encoder, OobleckEncoderPart):
        return OobleckEncoder(config.encoder.config)
    from arc_eval.models.spectral import SpectralEncoder

    return SpectralEncoder(_spectral_config(config, config.encoder.config, "encoder"))


def _decoder(config: AutoencoderConfig) -> nn.Module:
    if isinstance(config.decoder, OobleckDecoderPart):
        return OobleckDecoder(config.decoder.config)
    from arc_eval.models.spectral import SpectralDecoder

    return SpectralDecoder(_spectral_config(config, config.decoder.config, "decoder"))


def _spectral_config(config: AutoencoderConfig, data: Mapping[str, Any], part: str) -> "SpectralConfig":
    from arc_eval.models.spectral import SpectralConfig

    parsed = parse_part(SpectralConfig, data, f"pretransform.config.{part}.config")
    found = (parsed.latent_dim, parsed.hop * parsed.patch, 2)
    if found != (config.latent_dim, config.downsampling_ratio, config.io_channels):
        raise CheckpointError(
            f"pretransform.config.{part}: a spectral {part} of {found[0]} latent channels, hop * patch = "
            f"{found[1]} samples and {found[2]} audio channels does not fit latent_dim {config.latent_dim}, "
            f"downsampling_ratio {config.downsampling_ratio} and io_channels {config.io_channels}"
        )
    return parsed
