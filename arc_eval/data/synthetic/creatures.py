"""Voices of animals and people."""

import numpy as np

from arc_eval.data.synthetic.signals import (
    SINE,
    Attributes,
    Rng,
    Samples,
    Voice,
    attack,
    band_noise,
    between,
    curve,
    cycle,
    decay,
    oscillator,
    partials,
    placed,
    pulse,
    samples,
    struck,
)


def chirp(rng: Rng, attributes: Attributes) -> Samples:
    """A whistle of a small bird: two or three quick glides."""
    base = between(2600, 5200, attributes.pitch)
    parts = []
    for _ in range(rng.integers(2, 4)):
        n = samples(rng.uniform(0.04, 0.08))
        glide = curve(base * rng.uniform([1.05, 0.85, 0.75], [1.4, 1.2, 1.0]), n)
        parts.append(oscillator(glide, SINE) * np.hanning(n).astype(np.float32))
    return np.concatenate(parts)


def bird(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Chirps, 0.6 to 0.2 s apart."""
    return struck(rng, attributes, n, lambda: chirp(rng, attributes), 0.6, 0.2)


def bark_hit(rng: Rng, attributes: Attributes) -> Samples:
    """A hoarse tone that leaps up and falls, through a throat that opens."""
    n = samples(0.24)
    base = between(190, 560, attributes.pitch) * rng.uniform(0.95, 1.05)
    glide = np.float32(base) * curve([0.8, 1.35, 1.2, 0.75], n)
    k = np.arange(1, 16)
    size = between(0.7, 1.45, attributes.pitch)
    throat = sum(
        level * np.exp(-np.square((k * base - size * centre) / (size * width)) / 2)
        for level, centre, width in ((1.0, 900, 400), (0.5, 2100, 600))
    )
    voice = oscillator(glide, cycle(throat + 0.05))
    breath = band_noise(rng, n, 500 * size, 3000 * size, 2)
    envelope = attack(n, 0.04) * decay(n, rng.uniform(0.4, 0.6)) * curve([1, 1, 0.8, 0], n)
    bark: Samples = (voice + breath * np.float32(0.22 + 0.08 * attributes.brightness)) * envelope
    return bark


def dog(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Barks, 0.7 to 0.27 s apart."""
    return struck(rng, attributes, n, lambda: bark_hit(rng, attributes), 0.7, 0.27)


def footsteps(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Heel and sole on a floor, left and right foot in turn; a hard floor is bright."""
    m = samples(0.2)
    steps: list[Samples] = []
    for _ in range(2):
        heel = partials(m, rng.uniform([75, 130, 210], [95, 165, 260]), [1, 0.7, 0.4], 0.11, 0.0)
        edge = band_noise(rng, m, 400, between(1400, 4500, attributes.brightness), 2) * decay(m, 0.05)
        scuff = band_noise(rng, m, 1000, between(2500, 7000, attributes.brightness), 1)
        sole = scuff * decay(m, 0.12) * attack(m, 0.11)
        hardness: Samples = edge + sole * np.float32(0.5)
        steps.append(heel + hardness * np.float32(between(0.25, 0.9, attributes.brightness)))
    return placed(rng, n, pulse(rng, n, between(0.75, 0.27, attributes.speed), 0.04), steps)


VOICES: dict[str, Voice] = {
    "bird": bird,
    "dog": dog,
    "footsteps": footsteps,
}
