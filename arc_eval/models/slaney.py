"""Mel triangles on Slaney's scale, each of area one: those of librosa by default.

The scale is linear below 1000 Hz (200/3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4).
Source: M. Slaney, Auditory Toolbox, 1998.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LINEAR, _KNEE, _STEP = 200 / 3, 1000.0, np.log(6.4) / 27


def slaney_filterbank(sample_rate: int, n_fft: int, mels: int, low: float, high: float) -> Tensor:
    """float64[mel, bin] from low to high hertz; a band too narrow for any bin is all zero."""
    bins = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    lowest, highest = _mel(np.array([low, high])).tolist()
    edges = _hertz(np.linspace(lowest, highest, mels + 2))
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    return torch.from_numpy(triangles * (2 / (right - left)))


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE / _LINEAR + np.log(np.maximum(hertz, _KNEE) / _KNEE) / _STEP
    return np.where(hertz < _KNEE, hertz / _LINEAR, above)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _KNEE / _LINEAR
    return np.where(mel < knee, mel * _LINEAR, _KNEE * np.exp(_STEP * (mel - knee)))
