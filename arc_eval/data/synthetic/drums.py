"""Voices of the drum kit, single or repeated, and a loop of kick, snare and hi-hat at a tempo."""

import numpy as np

from arc_eval.data.synthetic.signals import (
    SINE,
    Attributes,
    Rng,
    Samples,
    Voice,
    add,
    band_noise,
    between,
    decay,
    oscillator,
    partials,
    samples,
    struck,
    time_axis,
)


def kick_hit(rng: Rng, attributes: Attributes) -> Samples:
    """A deep tone that drops in pitch within a few hundredths of a second, and the click of the beater."""
    n = samples(0.45)
    end = between(40, 62, attributes.pitch)
    fall = np.float32(rng.uniform(0.018, 0.035))
    frequency: Samples = end * (1 + np.float32(rng.uniform(2.5, 4)) * np.exp(-time_axis(n) / fall))
    body: Samples = oscillator(frequency, SINE) * decay(n, rng.uniform(0.35, 0.55))
    click = band_noise(rng, n, 1500, 6000) * decay(n, 0.025)
    return body + click * np.float32(between(0.02, 0.5, attributes.brightness))


def tom_hit(rng: Rng, attributes: Attributes) -> Samples:
    """A ringing drum: a tone that sinks a little, one overtone, the slap of the skin."""
    n = samples(0.9)
    end = between(118, 270, attributes.pitch)
    frequency: Samples = end * (1 + np.float32(0.25) * np.exp(-time_axis(n) / np.float32(0.07)))
    fall = rng.uniform(0.7, 1.1)
    body = oscillator(frequency, SINE) * decay(n, fall)
    overtone = oscillator(frequency * np.float32(1.59), SINE) * decay(n, fall * 0.5)
    skin = band_noise(rng, n, 300, 2500) * decay(n, 0.06)
    edge = between(0.05, 0.6, attributes.brightness)
    ringing: Samples = body + overtone * np.float32(0.2 + edge)
    return ringing + skin * np.float32(edge)


def snare_hit(rng: Rng, attributes: Attributes) -> Samples:
    """A short shell tone under a burst of hiss from the wires."""
    n = samples(0.4)
    base = between(165, 290, attributes.pitch)
    shell = partials(n, [base, base * 1.6], [0.7, 0.4], [0.16, 0.1], [0, 0])
    high = between(3500, 13000, attributes.brightness)
    wires = band_noise(rng, n, 900, high) * decay(n, rng.uniform(0.22, 0.38))
    return shell + wires * np.float32(0.35)


def hat_hit(rng: Rng, attributes: Attributes) -> Samples:
    """A very short burst of high noise and metal."""
    n = samples(0.3)
    low = between(5500, 9500, attributes.brightness)
    square = np.array([2.0, 3.0, 4.16, 5.43, 6.79, 8.21]) * low / 5.4
    metal = partials(n, square, 0.12, 0.2, rng.uniform(0, 6.28, 6))
    return (band_noise(rng, n, low, 17000, 4) * np.float32(0.4) + metal) * decay(n, rng.uniform(0.06, 0.2))


def clap_hit(rng: Rng, attributes: Attributes) -> Samples:
    """Three hands a hundredth of a second apart, then the noise of the room."""
    n = samples(0.35)
    centre = between(850, 1900, attributes.brightness)
    noise = band_noise(rng, n, centre * 0.75, centre * 1.6, 3)
    envelope = np.zeros(n, np.float32)
    hands = samples(0.011)
    for index in range(3):
        add(envelope, decay(hands, 0.02), index * hands)
    add(envelope, decay(n, rng.uniform(0.16, 0.28)), 3 * hands)
    return noise * envelope


def cymbal_hit(rng: Rng, attributes: Attributes) -> Samples:
    """Dozens of inharmonic partials and bright noise that ring on."""
    n = samples(2.0)
    fall = rng.uniform(1.8, 3.0)
    frequencies = between(300, 420, attributes.pitch) * np.exp(rng.uniform(0, 3.6, 36))
    ring = partials(n, frequencies, rng.uniform(0.02, 0.09, 36), fall, rng.uniform(0, 6.28, 36))
    low, high = between(1800, 4200, attributes.brightness), between(7000, 16000, attributes.brightness)
    wash = band_noise(rng, n, low, high) * decay(n, fall * 0.8)
    splash = band_noise(rng, n, 2000, high) * decay(n, 0.25)
    hiss: Samples = (wash + splash) * np.float32(0.5)
    return ring + hiss


def kick(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Hits, 0.65 to 0.19 s apart."""
    return struck(rng, attributes, n, lambda: kick_hit(rng, attributes), 0.65, 0.19)


def tom(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Hits, 0.65 to 0.17 s apart."""
    return struck(rng, attributes, n, lambda: tom_hit(rng, attributes), 0.65, 0.17)


def snare(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Hits, 0.62 to 0.15 s apart."""
    return struck(rng, attributes, n, lambda: snare_hit(rng, attributes))


def hi_hat(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Hits, 0.6 to 0.12 s apart."""
    return struck(rng, attributes, n, lambda: hat_hit(rng, attributes), 0.6, 0.12)


def clap(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Claps, 0.65 to 0.19 s apart."""
    return struck(rng, attributes, n, lambda: clap_hit(rng, attributes), 0.65, 0.19)


def cymbal(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Crashes, 0.9 to 0.4 s apart."""
    return struck(rng, attributes, n, lambda: cymbal_hit(rng, attributes), 0.9, 0.4)


def drum_loop(rng: Rng, attributes: Attributes, n: int) -> Samples:
    """Kick on the odd beats, snare on the even ones, hi-hat on every half beat."""
    beat = 60 / attributes.tempo
    kick_, snare_, hat = (hit(rng, attributes) for hit in (kick_hit, snare_hit, hat_hit))
    out = np.zeros(n, np.float32)
    for half in range(int(n / samples(beat / 2)) + 1):
        start = samples(0.01 + half * beat / 2)
        add(out, hat * np.float32(0.35 if half % 2 else 0.5), start)
        if half % 4 == 0:
            add(out, kick_, start)
        if half % 4 == 2:
            add(out, snare_ * np.float32(0.8), start)
    return out


VOICES: dict[str, Voice] = {
    "kick": kick,
    "snare": snare,
    "hi-hat": hi_hat,
    "clap": clap,
    "tom": tom,
    "cymbal": cymbal,
    "drum loop": drum_loop,
}
