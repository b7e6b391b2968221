"""The resampler that published OpenL3 embeddings went through: resampy 0.2.2, `kaiser_best`.

A windowed sinc of 64 zero crossings, tabulated at 512 points a crossing and read between them by a
straight line. For a ratio of whole numbers the reading places repeat, so the table is read once for each
phase. Sums run in resampy's order and are rounded to float32 after every product, as it rounds them:
OpenL3's decibels reach down to that rounding. Later resampy releases have another table.
"""

from functools import lru_cache
from math import gcd

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NAME = "resampy-0.2.2-kaiser_best"
ZEROS, POINTS = 64, 512
ROLLOFF, BETA = 0.9475937167399596, 14.769656459379492

Numbers = NDArray[np.float64]


def kaiser_best(
    samples: Tensor,  # float32[time]
    source_rate: int,
    target_rate: int,
) -> Tensor:
    """float32[int(time * target_rate / source_rate)]."""
    if source_rate == target_rate:
        return samples
    step = source_rate // gcd(source_rate, target_rate)
    places, weights = _phases(source_rate, target_rate)
    length = int(len(samples) * (target_rate / source_rate))
    frames = -(-length // places.shape[1])
    before, after = -int(places.min()), int(places.max()) + 1
    sound = np.pad(samples.numpy(), (before, max(0, (frames - 1) * step + after - len(samples))))
    framed = np.lib.stride_tricks.sliding_window_view(sound, before + after)[::step][:frames]
    out = np.zeros((frames, places.shape[1]), np.float32)
    for place, weight in zip(places + before, weights, strict=True):
        out = (out + weight * framed[:, place]).astype(np.float32)
    return torch.from_numpy(out.reshape(-1)[:length])


@lru_cache(maxsize=8)
def _phases(source_rate: int, target_rate: int) -> tuple[NDArray[np.int64], Numbers]:
    """int64[tap, phase], samples counted from where a frame begins, and float64[tap, phase], their weights.

    Taps in resampy's order: back in time from the output's place, then forward; what a phase lacks weighs 0.
    """
    divisor = gcd(source_rate, target_rate)
    phases, step = target_rate // divisor, source_rate // divisor
    scale = min(1.0, target_rate / source_rate)
    whole = [divmod(phase * step, phases) for phase in range(phases)]
    past = [_wing(scale * rest / phases, scale) for _, rest in whole]
    future = [_wing(scale - scale * rest / phases, scale) for _, rest in whole]
    back, forward = (np.arange(max(map(len, wings)))[:, None] for wings in (past, future))
    place = np.array([place for place, _ in whole])
    return np.concatenate([place - back, place + 1 + forward]), np.concatenate(
        [_stacked(past), _stacked(future)]
    )


def _stacked(wings: list[Numbers]) -> Numbers:
    """float64[tap, phase]; shorter wings are filled up with zeros."""
    taps = max(map(len, wings))
    return np.stack([np.pad(wing, (0, taps - len(wing))) for wing in wings], 1)


def _wing(offset: float, scale: float) -> Numbers:
    """Weights of the samples at `offset`, `offset + scale`, ... crossings from the centre."""
    table = _table() * scale
    steps = np.append(np.diff(table), 0.0)
    first, between = divmod(offset * POINTS, 1.0)
    stride = int(scale * POINTS)
    places = int(first) + stride * np.arange((len(table) - int(first)) // stride)
    return np.asarray(table[places] + between * steps[places])


@lru_cache(maxsize=1)
def _table() -> Numbers:
    """float64[32769], the right half of the filter."""
    points = ZEROS * POINTS
    taper = np.kaiser(2 * points + 1, BETA)[points:]
    return np.asarray(taper * ROLLOFF * np.sinc(ROLLOFF * np.linspace(0, ZEROS, points + 1)))
