"""Recordings as latents of a frozen autoencoder: what every diffusion training reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from arc_eval.contracts import Progress
from arc_eval.models.autoencoder_weights import load_autoencoder
from arc_eval.models.bottleneck import Posterior
from arc_eval.models.spectral import SpectralConfig, SpectralEncoder
from arc_eval.models.weights import weights_digest
from arc_eval.training.data import Encoded, Encoding, encode_for
from arc_eval.training.features import FeatureEncoding
from arc_eval.training.recipe import Recipe
from arc_eval.training.window import Window


@dataclass(frozen=True)
class LatentEncoding:
    """Audio to the mean latents of an autoencoder's folder."""

    autoencoder: str
    window: Window

    @property
    def over(self) -> None:
        """Nothing: it reads audio."""
        return None

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        return {"latents": weights_digest(self.autoencoder)}

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """float32[clip, 2, time] to float32[clip, latent, frame]."""
        autoencoder, _ = load_autoencoder(self.autoencoder)
        return autoencoder.encode


@dataclass(frozen=True)
class SpectralLatentEncoding:
    """The same for a spectral autoencoder, from features that its own training has left in the cache."""

    autoencoder: str
    over: FeatureEncoding

    @property
    def window(self) -> Window:
        """The one that the features were taken of."""
        return self.over.window

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        return {"latents over features": weights_digest(self.autoencoder), **self.over.identity()}

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """float32[clip, 2 * mel, frame] to float32[clip, latent, frame]."""
        autoencoder, _ = load_autoencoder(self.autoencoder)
        assert isinstance(autoencoder.encoder, SpectralEncoder)
        compress = autoencoder.encoder.compress
        return lambda features: Posterior.of(compress(features)).mean


def encode_latents(recipe: Recipe, autoencoder: str, cache: Path, progress: Progress) -> Encoded:
    """The recipe's recordings as latents, not yet scaled."""
    return encode_for(recipe, _encoding(autoencoder), cache, progress)


def _encoding(autoencoder: str) -> Encoding:
    _, file = load_autoencoder(autoencoder)
    if file.model.encoder.type != "spectral":
        window = Window(file.sample_size, file.sample_rate, file.audio_channels)
        return LatentEncoding(autoencoder, window)
    config = SpectralConfig.model_validate(file.model.encoder.config)
    return SpectralLatentEncoding(autoencoder, FeatureEncoding(config, file.sample_size / file.sample_rate))


def spread(data: Encoded) -> float:
    """The standard deviation of the latents: what they are divided by before diffusion sees them."""
    return float(data.rows(torch.arange(min(1024, len(data)))).std())
