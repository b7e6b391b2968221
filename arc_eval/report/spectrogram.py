"""Pictures of sounds: log-mel power over time, low frequencies at the bottom.

The scale is the same for every picture (dB relative to a sine at full scale), so that louder looks
brighter and silence is black.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from arc_eval.report.png import png

COLUMNS, BANDS = 240, 72
WINDOW = 1024
LOUDEST_DB, QUIETEST_DB = -12.0, -84.0
LEVELS = 48

_ANCHORS = ((8, 10, 24), (46, 22, 92), (130, 36, 122), (214, 72, 88), (250, 148, 62), (252, 240, 176))


def spectrogram_png(
    samples: NDArray[np.float32],  # float32[time, channel]
    sample_rate: int,
) -> bytes:
    """The PNG of a clip, COLUMNS wide and BANDS high whatever the clip's length."""
    level = mel_levels(samples, sample_rate)
    indices = np.clip(np.nan_to_num(level) * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    return png(indices[::-1], palette())


def mel_levels(
    samples: NDArray[np.float32],  # float32[time, channel]
    sample_rate: int,
) -> NDArray[np.float64]:
    """float64[band, column]: 0 at QUIETEST_DB, 1 at LOUDEST_DB."""
    mono = np.pad(samples.mean(axis=1, dtype=np.float64), (0, max(0, WINDOW - len(samples))))
    starts = np.linspace(0, len(mono) - WINDOW, COLUMNS).astype(int)
    window = np.hanning(WINDOW)
    frames = mono[starts[:, None] + np.arange(WINDOW)] * window
    power = np.square(np.abs(np.fft.rfft(frames)) * 2 / window.sum())
    decibels = 10 * np.log10(power @ mel_filters(sample_rate).T + 1e-12)
    level: NDArray[np.float64] = (decibels.T - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)
    return level


@cache
def mel_filters(sample_rate: int) -> NDArray[np.float64]:
    """float64[band, bin]: triangles with a peak of 1, evenly spaced in mel, 40 Hz to 16 kHz or Nyquist.

    Source: mel = 2595 log10(1 + f / 700), O'Shaughnessy 1987.
    """
    mel = np.linspace(_mel(40.0), _mel(min(16000.0, sample_rate / 2)), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / sample_rate)
    # Low bands are narrower than a bin: each keeps at least the bin nearest to its centre.
    filters = np.stack([np.interp(bins, edges[i : i + 3], [0.0, 1.0, 0.0]) for i in range(BANDS)])
    nearest = np.abs(bins[None] - edges[1:-1, None]).argmin(axis=1)
    filters[np.arange(BANDS), nearest] = np.maximum(filters[np.arange(BANDS), nearest], 0.5)
    return filters


@cache
def palette() -> NDArray[np.uint8]:
    """uint8[LEVELS, 3]: dark to bright through the anchors, even in position."""
    anchors = np.array(_ANCHORS, dtype=np.float64)
    position = np.linspace(0, len(anchors) - 1, LEVELS)
    channels = [np.interp(position, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def _mel(frequency: float) -> float:
    return 2595 * float(np.log10(1 + frequency / 700))
