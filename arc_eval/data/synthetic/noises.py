"""Voices of weather, water, fire and crowds: noise and its grains."""

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
    decay,
    oscillator,
    partials,
    samples,
    scatter,
    struck,
    time_axis,
    wander,
)


def grain(rng: Rng, frequency: float, seconds: float) -> Samples:
    """A short ringing click."""
    n = max(64, samples(seconds))
    return partials(n, frequency, 1.0, seconds, rng.uniform(0, 6.28)) * attack(n, 0.0004)


def rain(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A steady hiss of far drops and the patter of near ones."""
    high = between(5000, 15000, attributes.brightness)
    hiss = band_noise(rng, n, between(700, 2200, attributes.brightness), high, 1)
    drops = [grain(rng, rng.uniform(0.35, 0.7) * high, 0.004) for _ in range(2)]
    patter = scatter(rng, n, rng.uniform(150, 350), drops, 0.8)
    return hiss * np.float32(0.25) + patter * np.float32(1.2)


def wind(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Gusts of low noise with a howl that follows their strength."""
    centre = between(260, 850, attributes.pitch)
    gusts = wander(rng, n, 2.5, 0.15, 1.0)
    howl_low = band_noise(rng, n, centre * 0.88, centre * 0.96, 5)
    howl_high = band_noise(rng, n, centre * 1.15, centre * 1.25, 5)
    rush = band_noise(rng, n, 80, between(500, 1600, attributes.brightness), 1)
    howl: Samples = howl_low * (1.1 - gusts) + howl_high * gusts
    return (howl + rush * np.float32(0.6)) * gusts


def waves(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A wave rolls in, breaks with a hiss and draws back; the period follows the speed."""
    period = between(3.6, 1.2, attributes.speed)
    turns = time_axis(n) / np.float32(period) + np.float32(rng.uniform(0.0, 0.35))
    position = turns % 1
    swell = np.where(position < 0.45, position / 0.45, (1 - position) / 0.55).astype(np.float32)
    roar = band_noise(rng, n, 90, between(350, 900, attributes.brightness), 1)
    foam = band_noise(rng, n, 800, between(3000, 9000, attributes.brightness), 1)
    surf: Samples = roar * (np.float32(0.12) + swell**1.5) + foam * np.float32(0.8) * swell**4
    return surf


def fire(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A soft low roar under sparse sharp crackles."""
    pitch = between(1500, 5000, attributes.brightness)
    snaps = [grain(rng, pitch * rng.uniform(0.7, 1.5), rng.uniform(0.003, 0.012)) for _ in range(3)]
    crackle = scatter(rng, n, rng.uniform(16, 32), snaps, 0.9)
    roar = band_noise(rng, n, 60, 350, 1) * wander(rng, n, 6, 0.6, 1.0)
    return crackle + roar * np.float32(0.08)


def thunder(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """A crack, then low rumbling that rolls away."""
    start = samples(rng.uniform(0.01, 0.15))
    m = n - start
    rumble = band_noise(rng, m, 28, between(80, 170, attributes.brightness), 2)
    roll = wander(rng, m, 7, 0.35, 1.0) * attack(m, 0.08) * decay(m, rng.uniform(3.5, 6))
    crack = band_noise(rng, m, 150, between(900, 3500, attributes.brightness), 1)
    tearing = decay(m, rng.uniform(0.5, 0.9)) * wander(rng, m, 30, 0.2, 1.0)
    out = np.zeros(n, np.float32)
    out[start:] = rumble * roll + crack * np.float32(0.5) * tearing
    return out


def applause(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Many pairs of hands, none in step with another."""
    centre = between(900, 1900, attributes.brightness)
    m = samples(0.03)
    hands = [
        band_noise(rng, m, centre * tone * 0.75, centre * tone * 1.5) * decay(m, 0.022)
        for tone in (0.8, 1.0, 1.25)
    ]
    crowd = scatter(rng, n, rng.uniform(70, 130), hands, 0.5)
    far = scatter(rng, n, 900, hands[1:], 0.5)
    return crowd + far * np.float32(0.25)


def drop(rng: Rng, attributes: Attributes) -> Samples:
    """A bubble closing under the surface: a short tone that rises."""
    n = samples(0.16)
    base = between(480, 1300, attributes.pitch) * rng.uniform(0.9, 1.12)
    frequency = np.float32(base) * (1 + np.float32(rng.uniform(9, 14)) * time_axis(n))
    bubble = oscillator(frequency, SINE) * decay(n, rng.uniform(0.09, 0.15)) * attack(n, 0.004)
    splash = band_noise(rng, n, 3000, 9000) * decay(n, 0.012)
    return bubble + splash * np.float32(between(0.03, 0.2, attributes.brightness))


def water_drops(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Drops, 0.6 to 0.14 s apart."""
    return struck(rng, attributes, n, lambda: drop(rng, attributes), 0.6, 0.14)


VOICES: dict[str, Voice] = {
    "rain": rain,
    "wind": wind,
    "waves": waves,
    "fire": fire,
    "thunder": thunder,
    "applause": applause,
    "water drops": water_drops,
}
