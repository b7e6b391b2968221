"""Levels that the published protocols set before they listen."""

from torch import Tensor


def peak_normalised(samples: Tensor, decibels: float) -> Tensor:
    """float32[..., time] with its largest absolute sample at `decibels` below or above full scale.

    One gain for all channels. Digital silence, for which there is none, stays as it is.
    """
    peak = float(samples.abs().max()) if samples.numel() else 0.0
    if peak == 0.0:
        return samples
    # In float64: the gain of a peak that float32 can barely hold is infinite there.
    return (samples.double() * (10 ** (decibels / 20) / peak)).float()
