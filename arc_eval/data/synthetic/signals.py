"""What voices are built from: partials, coloured noise, curves and repeated hits; float32[time] at 44.1 kHz.

Attributes run from -1 (low, dull, slow) to 1 (high, bright, fast). Levels inside a voice are
relative: the scene sets the peak at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

RATE = 44100
Samples = NDArray[np.float32]
Rng = np.random.Generator

HIGHEST = 18000.0
"""No partial above this: near the Nyquist frequency they are inaudible and alias."""


@dataclass(frozen=True)
class Attributes:
    """What one rendering of a sound is like, in numbers; `tempo` in beats per minute."""

    pitch: float
    brightness: float
    speed: float
    many: bool
    tempo: float


Voice = Callable[[Rng, Attributes, int], Samples]
"""Renders `n` samples of a sound."""


def between(low: float, high: float, position: float) -> float:
    """`low` at -1, `high` at 1, geometric between: how pitch and rate are heard."""
    return float(low * (high / low) ** ((position + 1) / 2))


def samples(seconds: float) -> int:
    """How many samples that is."""
    return round(seconds * RATE)


@lru_cache(maxsize=64)
def time_axis(n: int) -> Samples:
    """Seconds since the start; shared, so read-only."""
    axis = np.arange(n, dtype=np.float32) / np.float32(RATE)
    axis.flags.writeable = False
    return axis


@lru_cache(maxsize=64)
def frequency_axis(n: int) -> Samples:
    """Hertz of each bin of a transform of `n` samples; at least 5, so that steep filters do not overflow."""
    axis: Samples = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 5).astype(np.float32)
    axis.flags.writeable = False
    return axis


def decay(n: int, seconds: float) -> Samples:
    """Falls by 60 dB in `seconds`."""
    falling: Samples = np.exp(time_axis(n) * np.float32(-6.908 / seconds))
    return falling


def attack(n: int, seconds: float) -> Samples:
    """Rises from 0 to 1 in about `seconds`, without a corner."""
    rising: Samples = -np.expm1(-np.square(time_axis(n) * np.float32(2 / seconds)))
    return rising


def curve(points: ArrayLike, n: int) -> Samples:
    """Straight lines through equally spaced points, from the first to the last sample."""
    values = np.asarray(points, np.float32)
    steps = -(-n // (len(values) - 1))
    ramp = np.arange(steps, dtype=np.float32) / np.float32(steps)
    lines: Samples = (values[:-1, None] + np.diff(values)[:, None] * ramp).ravel()[:n]
    return lines


def wander(rng: Rng, n: int, per_second: float, low: float, high: float) -> Samples:
    """A slow random walk between two bounds, turning `per_second` times."""
    points = max(3, round(n / RATE * per_second) + 1)
    return curve(rng.uniform(low, high, points), n)


def partials(
    n: int, frequency: ArrayLike, amplitude: ArrayLike, seconds: ArrayLike, phase: ArrayLike
) -> Samples:
    """Sum of sinusoids, each falling by 60 dB in its own `seconds` (may be infinite)."""
    hertz, level, fall, start = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(part, np.float64)) for part in (frequency, amplitude, seconds, phase))
    )
    heard = hertz < HIGHEST
    step = (2j * np.pi * hertz[heard] - 6.908 / fall[heard]) / RATE
    # exp(step * (a * block + b)) is a product of two short exponentials: one small matrix product
    # replaces a sine and an exponential for every sample and partial.
    block = int(np.sqrt(n)) + 1
    coarse = np.exp(np.outer(np.arange(-(-n // block)) * block, step)) * (
        level[heard] * np.exp(1j * start[heard])
    )
    fine = np.exp(np.outer(step, np.arange(block)))
    left = np.concatenate([coarse.imag, coarse.real], 1).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag], 0).astype(np.float32)
    # Not `@`: a BLAS rounds by its number of threads, and a recording must not depend on that.
    result: Samples = np.einsum("ij,jk->ik", left, right).ravel()[:n]
    return result


def cycle(amplitudes: Sequence[float] | NDArray[np.float64], size: int = 8192) -> Samples:
    """One period of a tone with these harmonic amplitudes (sine phase), for `oscillator`."""
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    spectrum[1 : 1 + len(amplitudes)] = -0.5j * size * np.asarray(amplitudes)
    table: Samples = np.fft.irfft(spectrum, size).astype(np.float32)
    return table


def oscillator(frequency: Samples, table: Samples, phase: float = 0.0) -> Samples:
    """Reads a period at a moving frequency in hertz; `phase` in periods."""
    turns = np.cumsum(frequency, dtype=np.float64) / RATE + phase
    return table[((turns % 1) * len(table)).astype(np.int32)]


SINE = cycle([1.0])


def band(n: int, low: float, high: float, order: int = 2) -> Samples:
    """Gain of a smooth band-pass on the bins of a transform of `n` samples; 6 dB per octave and order."""
    f = frequency_axis(n)
    power = 2 * order
    loss: Samples = np.sqrt((1 + (np.float32(low) / f) ** power) * (1 + (f / np.float32(high)) ** power))
    return np.reciprocal(loss)


def band_noise(rng: Rng, n: int, low: float, high: float, order: int = 2) -> Samples:
    """Noise between two frequencies, of standard deviation about 1 whatever the band."""
    size = scipy.fft.next_fast_len(n, real=True)
    gain = band(size, low, high, order)
    spectrum = rng.standard_normal(2 * len(gain), np.float32).view(np.complex64) * gain
    noise: Samples = scipy.fft.irfft(spectrum, size)[:n]
    return noise * np.float32(size / 2 / np.sqrt(np.square(gain).sum()))


def filtered(x: Samples, low: float, high: float, order: int = 2) -> Samples:
    """`x` through a smooth zero-phase band-pass."""
    size = scipy.fft.next_fast_len(len(x) + 256, real=True)
    result: Samples = scipy.fft.irfft(scipy.fft.rfft(x, size) * band(size, low, high, order), size)
    return result[: len(x)]


def scatter(rng: Rng, n: int, per_second: float, kernels: Sequence[Samples], spread: float = 1.0) -> Samples:
    """Kernels thrown at random moments, `per_second` on average, with log-normal strengths."""
    size = scipy.fft.next_fast_len(n + max(map(len, kernels)), real=True)
    spectrum = np.zeros(size // 2 + 1, np.complex64)
    for kernel in kernels:
        count = rng.poisson(per_second * n / RATE / len(kernels))
        strength = np.exp(rng.normal(0, spread, count)) * rng.choice([-1, 1], count)
        impulses = np.bincount(rng.integers(0, n, count), strength, n).astype(np.float32)
        spectrum += scipy.fft.rfft(impulses, size) * scipy.fft.rfft(kernel, size)
    result: Samples = scipy.fft.irfft(spectrum, size)[:n]
    return result


def add(out: Samples, hit: Samples, start: int) -> None:
    """Mixes `hit` into `out` from sample `start`; what reaches past the end is cut."""
    if start < len(out):
        out[start : start + len(hit)] += hit[: len(out) - start]


def placed(rng: Rng, n: int, starts: Sequence[float], hits: Sequence[Samples]) -> Samples:
    """Hits in turn at `starts` seconds, each a little stronger or weaker than the last."""
    out = np.zeros(n, np.float32)
    for index, start in enumerate(starts):
        add(out, hits[index % len(hits)] * np.float32(rng.uniform(0.75, 1)), samples(start))
    return out


def pulse(rng: Rng, n: int, gap: float, jitter: float = 0.04) -> list[float]:
    """Seconds of a steady pulse over `n` samples: the first soon after the start, then `gap` apart."""
    first = rng.uniform(0.01, 0.12)
    count = max(2, int((n / RATE - first) / gap) + 1)
    return [first + gap * (i + (rng.uniform(-jitter, jitter) if i else 0)) for i in range(count)]


def struck(
    rng: Rng,
    attributes: Attributes,
    n: int,
    hit: Callable[[], Samples],
    slow: float = 0.62,
    fast: float = 0.15,
) -> Samples:
    """One hit near the start or, if many, a pulse of hits whose gap goes from `slow` to `fast` seconds."""
    if not attributes.many:
        return placed(rng, n, [rng.uniform(0.01, 0.15)], [hit()])
    starts = pulse(rng, n, between(slow, fast, attributes.speed))
    return placed(rng, n, starts, [hit() for _ in range(min(3, len(starts)))])
