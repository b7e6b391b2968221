"""Voices of instruments with a pitch: struck, plucked, blown and held."""

import numpy as np

from arc_eval.data.synthetic.signals import (
    HIGHEST,
    Attributes,
    Rng,
    Samples,
    Voice,
    attack,
    band_noise,
    between,
    cycle,
    decay,
    oscillator,
    partials,
    samples,
    struck,
    time_axis,
    wander,
)

PENTATONIC = np.array([-5, -3, 0, 2, 4, 7])
"""Semitones from the main note of the notes that a repeated instrument plays."""


def melody_note(rng: Rng, attributes: Attributes, low: float, high: float) -> float:
    """The fundamental in hertz: the pitch itself or, when many notes are played, one near it."""
    steps = rng.choice(PENTATONIC) if attributes.many else 0
    return float(between(low, high, attributes.pitch) * 2 ** (steps / 12))


def guitar_note(rng: Rng, attributes: Attributes) -> Samples:
    """A string plucked off its middle: every harmonic falls at its own rate, the high ones first."""
    n = samples(1.6)
    base = melody_note(rng, attributes, 98, 370)
    k = np.arange(1, 25)
    dullness = between(0.6, 0.04, attributes.brightness)
    level = np.abs(np.sin(np.pi * k * rng.uniform(0.12, 0.2))) / k**0.7 * np.exp(-dullness * (k - 1))
    fall = rng.uniform(1.3, 2.0) / (1 + 0.12 * (k - 1))
    string = partials(n, base * k, level, fall, rng.uniform(0, 6.28, 24))
    pick = band_noise(rng, n, 1500, 7000) * decay(n, 0.02)
    return string * attack(n, 0.002) + pick * np.float32(0.1 + 0.08 * attributes.brightness)


def piano_note(rng: Rng, attributes: Attributes) -> Samples:
    """Stretched harmonics of two strings a hair apart, and the thump of the hammer."""
    n = samples(2.0)
    base = melody_note(rng, attributes, 175, 1100)
    k = np.arange(1, 15)
    stretched = base * k * np.sqrt(1 + 5e-4 * k**2)
    dullness = between(1.4, 0.2, attributes.brightness)
    level = np.exp(-dullness * (k - 1))
    fall = rng.uniform(2.6, 3.6) / (1 + 0.2 * (k - 1)) * (400 / base) ** 0.3
    strings = np.concatenate([stretched, stretched * rng.uniform(1.0006, 1.0012)])
    tone = partials(n, strings, np.tile(level, 2), np.tile(fall, 2), rng.uniform(0, 6.28, 28))
    thump = band_noise(rng, n, 80, 700) * decay(n, 0.09)
    return tone * attack(n, 0.006) + thump * np.float32(0.3)


def bell_note(rng: Rng, attributes: Attributes) -> Samples:
    """The partials of a church bell: hum, prime, minor third, fifth, nominal and above."""
    n = samples(2.0)
    base = between(330, 1150, attributes.pitch) * (
        2 ** (rng.choice([0, 3, 5]) / 12) if attributes.many else 1
    )
    ratio = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17, 5.43, 6.8, 8.2])
    detune = 1 + rng.uniform(-0.004, 0.004, len(ratio))
    slope = 0.75 - 0.75 * attributes.brightness
    level = np.array([0.5, 0.8, 0.8, 0.5, 1.0, 0.7, 0.6, 0.7, 0.6, 0.5, 0.4, 0.3]) * ratio**-slope
    fall = rng.uniform(3.5, 5) / ratio**0.6
    tone = partials(n, base * ratio * detune, level, fall, rng.uniform(0, 6.28, len(ratio)))
    beating = partials(n, base * ratio[:5] * 1.004, level[:5] * 0.5, fall[:5], rng.uniform(0, 6.28, 5))
    clapper = band_noise(rng, n, 2500, 9000) * decay(n, 0.03)
    return tone + beating + clapper * np.float32(0.2)


def guitar(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Plucks, 0.6 to 0.18 s apart."""
    return struck(rng, attributes, n, lambda: guitar_note(rng, attributes), 0.6, 0.18)


def piano(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Notes, 0.65 to 0.2 s apart."""
    return struck(rng, attributes, n, lambda: piano_note(rng, attributes), 0.65, 0.2)


def bell(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Strikes, 0.75 to 0.32 s apart."""
    return struck(rng, attributes, n, lambda: bell_note(rng, attributes), 0.75, 0.32)


def held(rng: Rng, n: int, rise: float) -> Samples:
    """The envelope of a held note: starts soon, ends after about two seconds or with the clip."""
    start = samples(rng.uniform(0.0, 0.08))
    envelope = np.zeros(n, np.float32)
    envelope[start:] = attack(n, rise)[: n - start]
    length = min(n, samples(rng.uniform(1.5, 2.2)))
    fade = min(samples(0.12), length)
    envelope[length:] = 0
    envelope[length - fade : length] *= np.linspace(1, 0, fade, dtype=np.float32)
    return envelope


def organ(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A major or minor triad on pipes: a few strong harmonics, each with a slow beat."""
    base = between(120, 420, attributes.pitch)
    triad = np.array([0, rng.choice([3, 4]), 7, 12])
    stops = np.array([0.5, 1, 2, 3, 4, 6, 8])
    slope = between(1.9, 0.1, attributes.brightness)
    level = np.array([0.6, 1.0, 0.9, 0.5, 0.7, 0.4, 0.4]) * np.maximum(stops, 1) ** -slope
    pipes = np.outer(base * 2 ** (triad / 12), stops).ravel()
    pipes = np.concatenate([pipes, pipes * 1.002])
    chord = partials(n, pipes, np.tile(level, 8), np.inf, rng.uniform(0, 6.28, len(pipes)))
    return chord * held(rng, n, 0.06)


def vibrato(rng: Rng, n: int, rate: float, depth: float) -> Samples:
    """Multiplies a frequency: a slow sine that sets in after the attack."""
    wobble = np.sin(time_axis(n) * np.float32(6.2832 * rate) + np.float32(rng.uniform(0, 6.28)))
    factor: Samples = 1 + np.float32(depth) * wobble * attack(n, 0.5)
    return factor


def flute(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A nearly pure tone with breath around it and a vibrato in pitch and strength."""
    base = between(520, 1500, attributes.pitch)
    frequency = np.float32(base) * vibrato(rng, n, rng.uniform(4.5, 6), 0.008)
    edge = between(0.05, 0.8, attributes.brightness)
    tone = oscillator(frequency, cycle([1, edge, edge * 0.6, edge * 0.2, edge * 0.1]))
    breath = band_noise(rng, n, base * 0.9, base * 4) * np.float32(0.05 + 0.03 * attributes.brightness)
    return (tone * wander(rng, n, 6, 0.8, 1.0) + breath) * held(rng, n, 0.1)


def brass(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """All harmonics, opening up as the note swells: the dull tone turns into the blaring one."""
    base = between(115, 400, attributes.pitch)
    frequency = (
        np.float32(base)
        * vibrato(rng, n, rng.uniform(4.5, 5.5), 0.006)
        * (1 - np.float32(0.06) * decay(n, 0.4))
    )
    k = np.arange(1, max(2, min(40, int(HIGHEST / base))))
    corner = between(1500, 5500, attributes.brightness) / base
    bright = k**-0.4 / (1 + (k / corner) ** 4)
    dull = k**-1.5 / (1 + (k / (corner * 0.4)) ** 4)
    swell = held(rng, n, 0.12)
    opening = swell * wander(rng, n, 4, 0.8, 1.0)
    tone = oscillator(frequency, cycle(dull)) * (1 - opening) + oscillator(frequency, cycle(bright)) * opening
    return tone * swell


VOICES: dict[str, Voice] = {
    "guitar": guitar,
    "piano": piano,
    "bell": bell,
    "organ": organ,
    "flute": flute,
    "brass": brass,
}
