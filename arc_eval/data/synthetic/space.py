"""Where a sound stands and in what room: float32[time] to float32[2, time].

A direct sound panned at constant power, and a diffuse stereo tail of the room. Tails are decaying
noise, drawn once for each room and variant, and cached as spectra.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from arc_eval.data.synthetic.signals import Rng, Samples, band_noise, decay, samples
from arc_eval.seeding import hashed_seed

VARIANTS = 8
"""Different rooms of each kind."""


@dataclass(frozen=True)
class Room:
    """Range of its reverberation time, length kept, seconds before the tail, energy of the tail."""

    shortest: float
    longest: float
    length: float
    delay: float
    energy: float


ROOMS: Mapping[str, Room] = {
    "room": Room(0.35, 0.6, 0.45, 0.006, 0.35),
    "hall": Room(1.8, 3.0, 1.25, 0.02, 0.8),
}


@lru_cache(maxsize=32)
def impulse_response(name: str, variant: int) -> Samples:
    """float32[2, time]: the diffuse tail of a room; high frequencies die away first."""
    room = ROOMS[name]
    rng = np.random.default_rng(hashed_seed("synthetic", "room", name, variant))
    n, reverberation = samples(room.length), rng.uniform(room.shortest, room.longest)
    end = np.minimum(1, np.arange(n, dtype=np.float32)[::-1] / samples(0.1))
    start = samples(room.delay)
    tail = np.zeros((2, n + start), np.float32)
    for side in tail:
        low = band_noise(rng, n, 90, 2500, 1) * decay(n, reverberation)
        high = band_noise(rng, n, 2500, 9000, 1) * decay(n, reverberation * 0.5)
        side[start:] = (low + np.float32(0.7) * high) * end
    tail *= np.float32(room.energy) / np.sqrt(np.square(tail).sum(1, keepdims=True))
    tail.flags.writeable = False
    return tail


@lru_cache(maxsize=32)
def tail_spectrum(name: str, variant: int, size: int) -> NDArray[np.complex64]:
    """Transform of a tail at a length; complex64[2, bin], shared, so read-only."""
    spectrum: NDArray[np.complex64] = scipy.fft.rfft(impulse_response(name, variant), size)
    spectrum.flags.writeable = False
    return spectrum


def panned(sound: Samples, pan: float) -> Samples:
    """From mono to stereo at constant power; `pan` from -1 (left) to 1 (right)."""
    angle = np.pi / 4 * (1 + pan)
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * sound


def reverberated(rng: Rng, sound: Samples, name: str) -> Samples:
    """The tail of `sound` in one of the rooms called `name`, without the direct sound."""
    variant = int(rng.integers(VARIANTS))
    n = len(sound)
    size = scipy.fft.next_fast_len(n + impulse_response(name, variant).shape[1] - 1, real=True)
    spectrum = scipy.fft.rfft(sound, size) * tail_spectrum(name, variant, size)
    result: Samples = scipy.fft.irfft(spectrum, size)[:, :n]
    return result


def stand(rng: Rng, sound: Samples, pan: float, space: str) -> Samples:
    """`sound` at its place in a space: "dry", or one of ROOMS."""
    direct = panned(sound, pan)
    return direct if space == "dry" else direct + reverberated(rng, sound, space)
