"""PaSST's front end: log powers in 128 Kaldi mel bands, a frame every 10 ms, at 32 kHz.

Pre-emphasis y[n] = x[n + 1] - 0.97 x[n] leaves one sample less; frames are centred, the ends reflected.
The bands are Kaldi's: triangles of height 1 in mel(f) = 1127 ln(1 + f / 700), drawn over the mel axis and not
over hertz. Source: hear21passt 0.0.26 in evaluation mode, where nothing is masked or shifted.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 32000
BANDS = 128
N_FFT, WINDOW, HOP = 1024, 800, 320
HIGHEST_HZ = 15000.0
EMPHASIS = 0.97
FLOOR = 1e-5
CENTRE, SCALE = -4.5, 5.0  # nepers of power: about the mean and the range of AudioSet


def kaldi_bank() -> Tensor:
    """float32[mel, bin], N_FFT / 2 + 1 bins; the bin at half the sample rate belongs to no band."""
    hertz = torch.arange(N_FFT // 2, dtype=torch.float64) * (SAMPLE_RATE / N_FFT)
    place = _mel(hertz) * ((BANDS + 1) / _mel(torch.tensor(HIGHEST_HZ, dtype=torch.float64)))
    # In steps of half a band's width: band k rises from k to k + 1 and falls to k + 2.
    rising = place - torch.arange(BANDS, dtype=torch.float64)[:, None]
    return F.pad(torch.minimum(rising, 2 - rising).clamp(min=0), (0, 1)).float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127 * (1 + hertz / 700).log()


class PasstMel(nn.Module):
    """Audio at 32 kHz to what the network reads."""

    window: Tensor
    bank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        self.register_buffer("bank", kaldi_bank(), persistent=False)

    @staticmethod
    def frames(samples: int) -> int:
        """How many frames that many samples give; none where too few are left to reflect at the ends."""
        return (samples - 1) // HOP + 1 if samples - 1 > N_FFT // 2 else 0

    def forward(self, audio: Tensor) -> Tensor:
        """float32[clip, time] to float32[clip, mel, frame]; at least 514 samples."""
        sharpened = audio[:, 1:] - EMPHASIS * audio[:, :-1]
        spectrum = torch.stft(
            sharpened, N_FFT, HOP, WINDOW, window=self.window, center=True, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return ((self.bank @ power + FLOOR).log() - CENTRE) / SCALE
