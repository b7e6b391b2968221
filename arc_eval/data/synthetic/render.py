"""From a scene to samples: what the caption states is kept, everything else is drawn."""

from collections.abc import Mapping

import numpy as np

from arc_eval.data.synthetic import creatures, drums, machines, noises, tones
from arc_eval.data.synthetic.scene import BACKGROUNDS, Event, Scene
from arc_eval.data.synthetic.signals import Attributes, Rng, Samples, Voice, samples
from arc_eval.data.synthetic.space import stand

VOICES: Mapping[str, Voice] = {
    **drums.VOICES,
    **tones.VOICES,
    **noises.VOICES,
    **machines.VOICES,
    **creatures.VOICES,
}
"""How each class of sound is made."""

HIGHEST_PEAK = 0.97

SCALE: Mapping[str | None, tuple[float, float]] = {
    "high": (0.45, 1), "bright": (0.45, 1), "fast": (0.45, 1),
    "low": (-1, -0.45), "dull": (-1, -0.45), "slow": (-1, -0.45),
    None: (-1, 1),
}  # fmt: skip
TEMPO: Mapping[str | None, tuple[float, float]] = {"fast": (138, 165), "slow": (75, 95), None: (80, 160)}
PEAK: Mapping[str | None, tuple[float, float]] = {"loud": (-4, -2), "quiet": (-20, -16), None: (-12, -6)}
"""Peak level in dBFS."""
PAN: Mapping[str | None, tuple[float, float]] = {
    "left": (-1, -0.7), "right": (0.7, 1), "centre": (-0.06, 0.06), None: (-0.8, 0.8)
}  # fmt: skip

MANY = 0.3
"""Chance that a countable sound is heard many times when its caption does not say."""


def attributes_of(rng: Rng, stated: Mapping[str, str]) -> Attributes:
    """Numbers that agree with what is stated."""
    many = rng.random() < MANY
    tempo = rng.uniform(*TEMPO[stated.get("speed")])
    return Attributes(
        pitch=rng.uniform(*SCALE[stated.get("pitch")]),
        brightness=rng.uniform(*SCALE[stated.get("brightness")]),
        speed=rng.uniform(*SCALE[stated.get("speed")]),
        many=stated["count"] == "many" if "count" in stated else many,
        tempo=float(stated["tempo"]) if "tempo" in stated else tempo,
    )


def peak_of(rng: Rng, event: Event, alone: bool) -> float:
    """The peak that an event is brought to; in company a background stays behind."""
    decibels = rng.uniform(*PEAK[event.stated.get("loudness")])
    if not alone and "loudness" not in event.stated:
        decibels += -1 if event.sound in BACKGROUNDS else 1
    return float(10 ** (decibels / 20))


def render_event(rng: Rng, event: Event, space: str, n: int, alone: bool) -> Samples:
    """float32[2, n]: one sound at its level and place."""
    sound = VOICES[event.sound](rng, attributes_of(rng, event.stated), n)
    placed = stand(rng, sound, rng.uniform(*PAN[event.stated.get("position")]), space)
    peak = np.abs(placed).max()
    return placed * np.float32(peak_of(rng, event, alone) / max(peak, 1e-9))


def render(rng: Rng, scene: Scene, seconds: float) -> Samples:
    """float32[2, time]: one take of a scene, peak at most 0.97, its ends faded so that they do not click."""
    n = samples(seconds)
    drawn = str(rng.choice(["dry", "room", "hall"], p=[0.45, 0.4, 0.15]))
    space = scene.space or drawn
    mix = np.zeros((2, n), np.float32)
    for event in scene.events:
        mix += render_event(rng, event, space, n, len(scene.events) == 1)
    fade = min(samples(0.005), n // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    mix[:, :fade] *= ramp
    mix[:, n - fade :] *= ramp[::-1]
    peak = np.abs(mix).max()
    return mix * np.float32(HIGHEST_PEAK / peak) if peak > HIGHEST_PEAK else mix
