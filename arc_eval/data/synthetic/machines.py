"""Voices of machines and signals."""

import numpy as np

from arc_eval.data.synthetic.signals import (
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
    placed,
    pulse,
    samples,
    struck,
    time_axis,
    wander,
)


def siren(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A reedy tone that wails up and down an octave."""
    centre = between(520, 1050, attributes.pitch)
    rate = between(0.45, 2.2, attributes.speed)
    turn = np.sin(time_axis(n) * np.float32(6.2832 * rate) + np.float32(rng.uniform(0, 6.28)))
    k = np.arange(1, 9)
    table = cycle(np.exp(-between(0.9, 0.25, attributes.brightness) * (k - 1)))
    return oscillator(np.float32(centre) * 2 ** (turn * np.float32(0.5)), table)


def alarm(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Electronic beeps: a hollow tone switched on and off."""
    base = between(900, 2400, attributes.pitch)
    gap = between(0.42, 0.13, attributes.speed)
    length = samples(gap * 0.5)
    edge = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 130).astype(np.float32)
    slope = between(2.8, 0.5, attributes.brightness)
    beep = (
        partials(length, base * np.array([1, 3, 5, 7]), np.array([1, 3, 5, 7.0]) ** -slope, np.inf, 0.0)
        * edge
    )
    return placed(rng, n, pulse(rng, n, gap, 0.0), [beep])


def engine(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Uneven firings of a motor at 22 to 75 per second, with exhaust noise in step."""
    rate: Samples = np.float32(between(22, 75, attributes.pitch)) * wander(rng, n, 4, 0.97, 1.03)
    k = np.arange(1, 33)
    dullness = between(0.28, 0.1, attributes.brightness)
    strokes = np.exp(-dullness * k) * rng.uniform(0.35, 1.0, len(k))
    firing: Samples = oscillator(rate, cycle(strokes))
    firing += oscillator(rate * np.float32(0.5), cycle([0.35, 0.2, 0.25, 0.15, 0.2]))
    exhaust = band_noise(rng, n, 150, between(900, 3000, attributes.brightness), 1)
    strength: Samples = np.maximum(firing, 0) * np.float32(0.22) + np.float32(0.088)
    return firing + exhaust * strength


def helicopter(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Rotor blades chopping the air: thumps of low noise, 7 to 16 per second, over a turbine."""
    gap = 1 / between(7.0, 16.0, attributes.speed)
    m = samples(0.12)
    high = between(350, 1500, attributes.brightness)
    chops = []
    for _ in range(3):
        thump = partials(m, [52, 88], [1.2, 0.8], 0.12, rng.uniform(0, 0.5, 2))
        air = band_noise(rng, m, 120, high, 2)
        chops.append((thump + air * np.float32(0.6)) * attack(m, 0.02) * decay(m, 0.13))
    rotor = placed(rng, n, pulse(rng, n, gap, 0.01), chops)
    whine = between(0.006, 0.05, attributes.brightness)
    turbine = partials(n, rng.uniform(1800, 2600), whine, np.inf, 0.0)
    wash = band_noise(rng, n, 200, 3 * high, 1)
    return rotor + turbine + wash * np.float32(0.05)


def zap(rng: Rng, attributes: Attributes) -> Samples:
    """A tone that falls from several thousand hertz to a few hundred."""
    n = samples(0.45)
    start, end = between(2200, 5200, attributes.pitch), between(160, 320, attributes.pitch)
    fall = np.float32(rng.uniform(0.05, 0.1))
    frequency = np.float32(end) + np.float32(start - end) * np.exp(-time_axis(n) / fall)
    edge = between(0.04, 0.8, attributes.brightness)
    return oscillator(frequency, cycle([1, edge, edge * 0.7, edge * 0.4])) * decay(n, rng.uniform(0.4, 0.6))


def laser(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Zaps, 0.65 to 0.2 s apart."""
    return struck(rng, attributes, n, lambda: zap(rng, attributes), 0.65, 0.2)


def clock(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Tick and tock in turn: dry wooden clicks."""
    m = samples(0.06)
    base = between(1500, 3800, attributes.pitch)
    click = band_noise(rng, m, 3500, 9000) * decay(m, 0.008)
    hits = []
    for ratio in (1.0, 0.78):
        wood = partials(
            m, base * ratio * np.array([1, 1.52, 2.3]), [1, 0.5, 0.3], 0.03, rng.uniform(0, 6.28, 3)
        )
        hits.append(wood * attack(m, 0.0006) + click * np.float32(0.3))
    return placed(rng, n, pulse(rng, n, between(0.55, 0.16, attributes.speed), 0.005), hits)


def telephone(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Two small gongs struck in turn, 20 to 26 times a second, in rings with a pause between."""
    base = between(1050, 1900, attributes.pitch)
    m = samples(0.25)
    gongs = [
        partials(m, base * ratio * np.array([1, 2.76, 4.1]), [1, 0.5, 0.25], 0.3, rng.uniform(0, 6.28, 3))
        for ratio in (1.0, 1.24)
    ]
    gap = 1 / rng.uniform(20, 26)
    ring, pause = between(1.1, 0.35, attributes.speed), between(0.5, 0.2, attributes.speed)
    strikes = [start for start in pulse(rng, n, gap, 0.02) if start % (ring + pause) < ring]
    return placed(rng, n, strikes, gongs)


VOICES: dict[str, Voice] = {
    "siren": siren,
    "alarm": alarm,
    "engine": engine,
    "helicopter": helicopter,
    "laser": laser,
    "clock": clock,
    "telephone": telephone,
}
