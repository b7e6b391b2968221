"""Stereo log-mel features: how loud each band is, and how far it leans to the left.

Band power is averaged over the two channels and taken in decibels; the lean is the level difference
left minus right in decibels, which is 0 for silence because both powers carry the same floor. Both
are scaled to about unit range, so that networks can read them as they are.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arc_eval.dsp import mel_filterbank

FLOOR = 1e-7  # mean band power of about -70 dB: below what 16-bit dither leaves
LEVEL_CENTRE, LEVEL_SCALE = -35.0, 20.0  # decibels
LEAN_SCALE = 10.0  # decibels


@dataclass(frozen=True)
class BandLevels:
    """float32[clip, mel, frame] of level and of lean, both scaled."""

    level: Tensor
    lean: Tensor

    def stacked(self) -> Tensor:
        """float32[clip, 2 * mel, frame]: levels first, then leans."""
        return torch.cat([self.level, self.lean], dim=1)

    @classmethod
    def split(cls, stacked: Tensor) -> "BandLevels":
        """The inverse of `stacked`."""
        level, lean = stacked.chunk(2, dim=1)
        return cls(level, lean)


class StereoMel(nn.Module):
    """Audio to band levels and back to the power spectra of both channels."""

    window: Tensor
    bank: Tensor
    inverse: Tensor

    def __init__(self, sample_rate: int, n_fft: int, hop: int, mels: int) -> None:
        super().__init__()
        self.n_fft, self.hop, self.mels = n_fft, hop, mels
        bank = mel_filterbank(sample_rate, n_fft, mels, 20.0, sample_rate / 2)
        # Rows sum to one: a band's power is then a mean, comparable between narrow and wide bands.
        bank = bank / bank.sum(1, keepdim=True).clamp_min(1e-8)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("bank", bank, persistent=False)
        # Each bin is the mean of the bands that cover it, weighted by how much they do. Unlike the
        # pseudo-inverse it cannot ring or go negative.
        share = bank / bank.sum(0, keepdim=True).clamp_min(1e-8)
        self.register_buffer("inverse", share.T.contiguous(), persistent=False)

    def spectrum(self, audio: Tensor) -> Tensor:
        """float[..., time] to complex[..., bin, frame], scaled so that a full-scale sine peaks near 1."""
        flat = audio.reshape(-1, audio.shape[-1])
        spectrum = torch.stft(
            flat,
            self.n_fft,
            self.hop,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*audio.shape[:-1], *spectrum.shape[-2:]) * (4 / self.n_fft)

    def waveform(self, spectrum: Tensor, length: int) -> Tensor:
        """The inverse of `spectrum`: complex[..., bin, frame] to float[..., length]."""
        flat = spectrum.reshape(-1, *spectrum.shape[-2:]) * (self.n_fft / 4)
        audio = torch.istft(flat, self.n_fft, self.hop, window=self.window, center=True, length=length)
        return audio.reshape(*spectrum.shape[:-2], length)

    def forward(self, audio: Tensor) -> BandLevels:
        """audio: float32[clip, 2, time]; a frame every `hop` samples, the first centred on sample 0."""
        power = self.spectrum(audio).abs().square()
        left, right = (torch.matmul(self.bank, power) + FLOOR).unbind(1)
        decibels = 10 / math.log(10)
        level = (((left + right) / 2).log() * decibels - LEVEL_CENTRE) / LEVEL_SCALE
        lean = (left / right).log() * decibels / LEAN_SCALE
        return BandLevels(level, lean)

    def magnitudes(self, levels: BandLevels) -> Tensor:
        """float32[clip, 2, bin, frame]: the magnitude spectra that band levels stand for."""
        nepers = math.log(10) / 10
        mean = ((levels.level * LEVEL_SCALE + LEVEL_CENTRE) * nepers).exp() - FLOOR
        share = torch.sigmoid(levels.lean * LEAN_SCALE * nepers)  # of the power, what is left's
        powers = torch.stack([2 * mean * share, 2 * mean * (1 - share)], dim=1).clamp_min(0)
        return torch.matmul(self.inverse, powers).sqrt()
