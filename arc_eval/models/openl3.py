"""OpenL3's audio network (Cramer et al. 2019) as openl3 0.4 runs it: kapre's front end, then convolutions.

A window is one second at 48 kHz. Its spectrogram is in decibels of magnitude (not power) below the window's
own maximum, 80 at most. Source: openl3 0.4.2 with kapre 0.3.7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.models.slaney import slaney_filterbank
from arc_eval.models.tensorflow_hann import tensorflow_hann

SAMPLE_RATE = WINDOW = 48000
HOP = 242
CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
KERAS_EPS = 1e-3


@dataclass(frozen=True)
class Representation:
    """A front end: size of its transform, mel bands (0: none), and the last pools that give each size."""

    n_fft: int
    mels: int
    pools: Mapping[int, tuple[int, int]]


REPRESENTATIONS = {
    "mel256": Representation(2048, 256, {512: (32, 24), 6144: (8, 8)}),
    "mel128": Representation(2048, 128, {512: (16, 24), 6144: (4, 8)}),
    "linear": Representation(512, 0, {512: (32, 24), 6144: (8, 8)}),
}


class FrontEnd:
    """Windows to decibel spectrograms, on the CPU whatever device follows.

    Bands that hold little are at the level of a float32 transform's rounding, which differs between
    libraries: scipy's (pocketfft) rounds as TensorFlow's does.
    """

    def __init__(self, representation: str) -> None:
        from scipy.sparse import csr_array

        self.kind = REPRESENTATIONS[representation]
        self._window = tensorflow_hann(self.kind.n_fft).numpy()
        n_fft = self.kind.n_fft
        bands = slaney_filterbank(SAMPLE_RATE, n_fft, self.kind.mels, 0.0, SAMPLE_RATE / 2).float()
        # A band holds few of the bins: a dense product would take most of the front end's time.
        self._bands = csr_array(bands.numpy()) if self.kind.mels else None
        # Mel spectrograms reach the last sample, with zeros after it; the linear one leaves a rest out.
        frames = -(-WINDOW // HOP) if self.kind.mels else 1 + (WINDOW - n_fft) // HOP
        self.shape = (self.kind.mels or n_fft // 2 + 1, frames)
        """Bands and frames of a window."""
        self._missing = max(0, (frames - 1) * HOP + n_fft - WINDOW)

    def __call__(
        self,
        windows: Tensor,  # float32[window, 48000]
    ) -> Tensor:
        """float32[window, 1, band, frame], at most 0."""
        return torch.from_numpy(np.stack([self._spectrogram(window) for window in windows.numpy()]))[:, None]

    def _spectrogram(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        from scipy.fft import rfft

        padded = np.pad(window, (0, self._missing))
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.kind.n_fft)[::HOP][: self.shape[1]]
        magnitude = np.abs(rfft(framed * self._window)).T
        bands = magnitude if self._bands is None else self._bands @ magnitude
        decibels = 10 * np.log10(np.maximum(bands, np.float32(1e-10)))
        floored: NDArray[np.float32] = np.maximum(decibels - decibels.max(), np.float32(-80))
        return floored


class OpenL3(nn.Module):
    """The network; float32[window, 1, band, frame] to float32[window, size]. Names are torchopenl3's."""

    def __init__(self, representation: str, size: int) -> None:
        super().__init__()
        self.pool = REPRESENTATIONS[representation].pools[size]
        wide = (1, *CHANNELS)
        self.norms = nn.ModuleList(nn.BatchNorm2d(count, eps=KERAS_EPS) for count in wide[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(wide))

    def forward(self, spectrograms: Tensor) -> Tensor:
        x = self.norms[0](spectrograms)
        for place, conv in enumerate(self.convs[:-1]):
            x = F.relu(self.norms[place + 1](conv(x)))
            if place % 2:
                x = F.max_pool2d(x, 2)
        return self.pooled(self.convs[-1](x))

    def pooled(self, maps: Tensor) -> Tensor:
        """The largest of each cell, in the order band, frame, channel."""
        return F.max_pool2d(maps, self.pool).permute(0, 2, 3, 1).flatten(1)


class FoldedOpenL3(nn.Module):
    """The same numbers sooner: normalisations folded into the convolutions before them, channels last.

    The first normalisation comes before zero padding and stays.
    """

    def __init__(self, network: OpenL3) -> None:
        super().__init__()
        self.first = network.norms[0]
        self.pooled = network.pooled
        last = len(CHANNELS) - 1
        pairs = zip(network.convs[:last], network.norms[1:], strict=True)
        folded = [_folded(conv, norm) for conv, norm in pairs]
        self.convs = nn.ModuleList([*folded, network.convs[last]])
        for weight in self.convs.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """As `OpenL3.forward`."""
        x = self.first(spectrograms).contiguous(memory_format=torch.channels_last)
        for place, conv in enumerate(self.convs[:-1]):
            x = F.relu_(conv(x))
            if place % 2:
                x = F.max_pool2d(x, 2)
        return self.pooled(self.convs[-1](x))


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return nn.utils.fuse_conv_bn_eval(conv, norm)
