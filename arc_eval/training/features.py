"""Recordings as the features of the tiny family's front end: what its autoencoder and extractors read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from arc_eval.models.spectral import SpectralConfig, SpectralEncoder


@dataclass(frozen=True)
class FeatureEncoding:
    """Audio to the features of `models.features`, by the front end alone."""

    config: SpectralConfig
    seconds: float

    @property
    def over(self) -> None:
        """Nothing: it reads audio."""
        return None

    def identity(self) -> Mapping[str, str]:
        """Everything that decides the result."""
        c = self.config
        return {
            "features": f"stereo-mel-1:{c.sample_rate}:{c.n_fft}:{c.hop}:{c.mels}",
            "samples": str(whole_frames(c, self.seconds)),
        }

    def encoder(self) -> Callable[[Tensor], Tensor]:
        """float32[clip, 2, time] to float32[clip, 2 * mel, frame]."""
        front = SpectralEncoder(self.config)
        length = whole_frames(self.config, self.seconds)
        return lambda audio: front.features(F.pad(audio, (0, length - audio.shape[-1])))


def whole_frames(config: SpectralConfig, seconds: float) -> int:
    """The samples of the fewest latent frames that hold `seconds`."""
    ratio = config.patch * config.hop
    return -(-round(seconds * config.sample_rate) // ratio) * ratio
