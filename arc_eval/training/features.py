"""Recordings as the features of the tiny family's front end: what its autoencoder and extractors read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from arc_eval.models.spectral import SpectralConfig, SpectralEncoder
from arc_eval.training.window import Window


@dataclass(frozen=True)
class FeatureEncoding:
    """Audio to the features of `models.features`, by the front end alone."""

    config: SpectralConfig
    seconds: float

    @property
    def window(self) -> Window:
        """The fewest whole latent frames that hold `seconds`."""
        c = self.config
        return Window(whole_frames(c, self.seconds), c.sample_rate, 2)

    @property
    def over(self) -> None:
        """Nothing: it reads audio."""
        return None

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        c = self.config
        return {"features": f"stereo-mel-1:{c.sample_rate}:{c.n_fft}:{c.hop}:{c.mels}"}

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """float32[clip, 2, time] to float32[clip, 2 * mel, frame]."""
        return SpectralEncoder(self.config).features


def whole_frames(config: SpectralConfig, seconds: float) -> int:
    """The samples of the fewest latent frames that hold `seconds`."""
    ratio = config.patch * config.hop
    return -(-round(seconds * config.sample_rate) // ratio) * ratio
