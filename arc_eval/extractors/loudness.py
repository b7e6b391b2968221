"""How loud a clip is made before it is heard."""

from torch import Tensor


def to_peak(samples: Tensor, decibels: float) -> Tensor:
    """float32[channel, time], all channels by one factor, the largest sample `decibels` from full scale.

    Digital silence stays as it is (stable-audio-metrics divides by its peak and gets NaN).
    """
    peak = samples.abs().max()
    return samples * (10 ** (decibels / 20) / peak) if peak > 0 else samples
