"""Log-mel statistics: the mean and spread over time of each mel band. An untrained descriptor of timbre.

Channels are averaged, the level is left as it is. It knows nothing of meaning, but it needs no weights,
so it serves as a check on those that do: `fd[mel]`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from arc_eval import contracts, dsp
from arc_eval.errors import AudioError
from arc_eval.records.audio import AudioBatch

BANDS = 64
N_FFT = 2048
HOP = 512
LOWEST_HZ = 40.0
HIGHEST_HZ = 16000.0
FLOOR_DB = -80.0


class Mel:
    """Describes each clip by one row: the mean of each band in dB, then its standard deviation."""

    sample_rate = 44100

    def __init__(self) -> None:
        self.filters = dsp.mel_filterbank(self.sample_rate, N_FFT, BANDS, LOWEST_HZ, HIGHEST_HZ)

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, float32[1, 2 * BANDS]. Raises AudioError at another sample rate, or without samples."""
        if audio.sample_rate != self.sample_rate:
            raise AudioError(f"the mel extractor hears {self.sample_rate} Hz, not {audio.sample_rate} Hz")
        # One clip at a time: a batched transform may round by the size of the batch.
        return [self._row(clip) for clip in audio]

    def fingerprint(self) -> Mapping[str, str]:
        """Every constant that a row depends on."""
        return {
            "extractor": "mel 1",
            "sample_rate": str(self.sample_rate),
            "channels": "mean",
            "loudness": "untouched",
            "windows": f"whole clip, centred hann {N_FFT}, hop {HOP}",
            "bands": f"{BANDS} from {LOWEST_HZ} to {HIGHEST_HZ} Hz",
            "scale": f"power in dB, floor {FLOOR_DB}",
        }

    def _row(self, clip: Tensor) -> Tensor:
        if clip.numel() == 0:
            raise AudioError(f"a clip of shape {list(clip.shape)} has no samples to describe")
        power = self.filters @ dsp.stft_power(clip.mean(0), N_FFT, HOP) / N_FFT
        bands = 10 * power.clamp(min=10 ** (FLOOR_DB / 10)).log10()
        return torch.cat([bands.mean(1), bands.std(1, correction=0)]).unsqueeze(0)


class Settings(contracts.Settings):
    """`{kind: mel}`."""

    def build(self) -> Mel:
        """The extractor of these settings."""
        return Mel()
