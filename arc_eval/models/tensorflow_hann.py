"""TensorFlow's Hann window to the last bit.

Decibels of magnitude span 160 dB of power: in the quiet bands the last bit of a window is heard, so a port
of a TensorFlow front end needs its window and not a better one. Source: `tf.signal.hann_window`; the cosine
is that of Eigen's vectorised kernels without fused products, written down from the numbers of its method.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]
_REDUCTION = (-1.5703125, -0.000483989715576171875, 1.62865035235881805e-07, 5.56443155144171678e-11)
"""A quarter turn, in parts of few bits each, so that whole multiples of it are exact."""
_COSINE = (2.4372266125283204e-05, -0.00138865201734006405, 0.041666619479656219, -0.5, 1.0)
_SINE = (-0.00019592341140837029, 0.0083326873655616852, -0.16666662039829830)


def tensorflow_hann(length: int) -> Tensor:
    """float32[length], periodic; `length` even."""
    turns = np.float32(2 * np.pi) * np.arange(length, dtype=np.float32) / np.float32(length)
    return torch.from_numpy(np.float32(0.5) - np.float32(0.5) * _cosine(turns))


def _cosine(angle: Floats) -> Floats:
    """Rounded to float32 after every operation; angles of a few turns."""
    quarter = np.rint(angle * np.float32(0.636619746685028076))
    for part in _REDUCTION:
        angle = quarter * np.float32(part) + angle
    square = angle * angle
    even = _polynomial(_COSINE, square)
    odd = (_polynomial(_SINE, square) * square) * angle + angle
    which = quarter.astype(np.int64)
    size = np.where(which % 2 == 0, even, odd)
    return np.where((which + 1) & 2, -size, size).astype(np.float32)


def _polynomial(factors: tuple[float, ...], x: Floats) -> Floats:
    value = np.full_like(x, factors[0])
    for factor in factors[1:]:
        value = value * x + np.float32(factor)
    return value
