"""The tiny family's autoencoder: learned compression of stereo band levels, phase by consistency.

A convolutional network at the latent rate (one frame every `patch` hops) compresses the features of
`features.StereoMel`; decoding finds the phase that an overlapping spectrogram allows (Griffin and
Lim 1984, accelerated as in Perraudin et al. 2013). Phase is sought once, for both channels: a sound
in the middle stays in the middle.
"""

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.models.features import BandLevels, StereoMel
from arc_eval.models.schema import Count


class SpectralConfig(BaseModel):
    """Sizes of the encoder and decoder; `rate` is latent frames x `patch` x `hop` samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_rate: Count = 44100
    n_fft: Count = 2048
    hop: Count = 512
    mels: Count = 128
    patch: Count = 4
    hidden: Count = 192
    blocks: Annotated[int, Field(ge=0)] = 4
    latent_dim: Count = 32
    phase_iterations: Annotated[int, Field(ge=0)] = 16


class ResidualBlock(nn.Module):
    """Depthwise convolution over time, then a gated mix of channels; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 3 * width)
        self.contract = nn.Linear(3 * width, width)
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(self, x: Tensor) -> Tensor:  # float[clip, width, frame]
        mixed = self.contract(F.gelu(self.expand(self.norm(self.over_time(x).mT))))
        out: Tensor = x + mixed.mT
        return out


class SpectralEncoder(nn.Module):
    """Audio to the mean and scale of a latent (stacked on channels), as the official encoders give."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.mel = StereoMel(config.sample_rate, config.n_fft, config.hop, config.mels)
        self.project_in = nn.Conv1d(2 * config.mels, config.hidden, config.patch, stride=config.patch)
        self.blocks = nn.Sequential(*[ResidualBlock(config.hidden) for _ in range(config.blocks)])
        self.project_out = nn.Conv1d(config.hidden, 2 * config.latent_dim, 1)

    def features(self, audio: Tensor) -> Tensor:
        """float32[clip, 2 * mel, frame], a whole number of patches: time is cut to whole hops."""
        frames = audio.shape[-1] // self.mel.hop
        levels: BandLevels = self.mel(audio)
        return levels.stacked()[..., :frames]

    def compress(self, features: Tensor) -> Tensor:
        """float32[clip, 2 * mel, frame] to float32[clip, 2 * latent, frame / patch]."""
        out: Tensor = self.project_out(self.blocks(self.project_in(features)))
        return out

    def forward(self, audio: Tensor) -> Tensor:
        """float32[clip, 2, time] to float32[clip, 2 * latent, frame]; time a multiple of the ratio."""
        return self.compress(self.features(audio))


class SpectralDecoder(nn.Module):
    """A latent to audio."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.iterations = config.phase_iterations
        self.ratio = config.patch * config.hop
        self.mel = StereoMel(config.sample_rate, config.n_fft, config.hop, config.mels)
        self.project_in = nn.Conv1d(config.latent_dim, config.hidden, 1)
        self.blocks = nn.Sequential(*[ResidualBlock(config.hidden) for _ in range(config.blocks)])
        self.project_out = nn.ConvTranspose1d(
            config.hidden, 2 * config.mels, config.patch, stride=config.patch
        )

    def expand(self, latent: Tensor) -> Tensor:
        """float32[clip, latent, frame] to features float32[clip, 2 * mel, frame * patch]."""
        out: Tensor = self.project_out(self.blocks(self.project_in(latent)))
        return out

    def forward(self, latent: Tensor) -> Tensor:
        """float32[clip, latent, frame] to float32[clip, 2, frame * ratio]."""
        features = self.expand(latent)
        # The features stop one frame short of a centred spectrogram's last: repeat it.
        features = torch.cat([features, features[..., -1:]], dim=-1)
        magnitudes = self.mel.magnitudes(BandLevels.split(features))
        return self.phased(magnitudes, latent.shape[-1] * self.ratio)

    def phased(self, magnitudes: Tensor, length: int) -> Tensor:
        """float32[clip, 2, bin, frame] to float32[clip, 2, length] with one phase for both channels."""
        target = magnitudes.mean(1)
        phase = consistent_phase(self.mel, target, length, self.iterations)
        return self.mel.waveform(magnitudes * phase.unsqueeze(1), length)


def consistent_phase(
    mel: StereoMel,
    magnitude: Tensor,  # float[clip, bin, frame]
    length: int,
    iterations: int,
    momentum: float = 0.99,
) -> Tensor:
    """Unit complex[clip, bin, frame]: a phase under which the spectrogram nearly is that of a signal.

    The starting phase is drawn once from a fixed seed and shared by all clips, so that decoding is a
    function of the latent alone. Source: Perraudin, Balazs, Sondergaard, WASPAA 2013.
    """
    start = torch.rand(magnitude.shape[1:], generator=torch.Generator().manual_seed(0)).to(magnitude.device)
    phase = torch.polar(torch.ones_like(start), 2 * torch.pi * start).expand(magnitude.shape)
    previous = torch.zeros_like(phase)
    for _ in range(iterations):
        consistent = mel.spectrum(mel.waveform(magnitude * phase, length))
        ahead = consistent + momentum * (consistent - previous)
        phase = ahead / ahead.abs().clamp_min(1e-12)
        previous = consistent
    return phase
