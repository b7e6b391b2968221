"""The words of captions: what each sound is called, and how each value of an attribute is said.

No phrase of one value occurs in a phrase of another value or in the name of a sound, so a caption
can be read back exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sound:
    """A class of sounds as captions know it.

    names: with an article; mass: without one ("rain"); one and many: singular and plural nouns of
    a sound that can be struck once or repeatedly; attributes: what captions may say of it beyond
    loudness and place.
    """

    attributes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mass: tuple[str, ...] = ()
    one: tuple[str, ...] = ()
    many: tuple[str, ...] = ()

    @property
    def countable(self) -> bool:
        return bool(self.many)


PITCH, TONE, SPEED = "pitch", "brightness", "speed"

SOUNDS: Mapping[str, Sound] = {
    "kick": Sound(
        (PITCH, TONE, SPEED), ("kick drum", "bass drum"), (),
        ("kick drum hit", "bass drum hit"), ("kick drum hits", "bass drum beats"),
    ),
    "snare": Sound((TONE, SPEED), ("snare drum", "snare"), (), ("snare hit", "snare drum hit"), ("snare hits", "snare drum hits")),
    "hi-hat": Sound((TONE, SPEED), ("hi-hat",), (), ("hi-hat hit", "hi-hat tap"), ("hi-hat hits", "hi-hat taps")),
    "clap": Sound((TONE, SPEED), (), (), ("hand clap", "clap of hands"), ("hand claps", "claps of hands")),
    "tom": Sound((PITCH, TONE, SPEED), ("tom drum", "tom-tom"), (), ("tom drum hit", "tom hit"), ("tom drum hits", "tom hits")),
    "cymbal": Sound((TONE, SPEED), ("crash cymbal", "cymbal"), (), ("cymbal crash",), ("cymbal crashes",)),
    "drum loop": Sound((SPEED, "tempo"), ("drum loop", "drum beat", "drum groove")),
    "guitar": Sound(
        (PITCH, TONE, SPEED), ("plucked string", "plucked guitar"), (),
        ("plucked guitar note", "pluck of a guitar string"), ("plucked guitar notes", "plucked string notes"),
    ),
    "piano": Sound((PITCH, TONE, SPEED), ("piano",), (), ("piano note",), ("piano notes",)),
    "bell": Sound((PITCH, TONE, SPEED), ("bell", "church bell"), (), ("bell strike", "church bell strike"), ("bell strikes", "church bell strikes")),
    "organ": Sound((PITCH, TONE), ("organ chord", "pipe organ", "held organ chord")),
    "flute": Sound((PITCH, TONE), ("flute", "flute note", "flute tone")),
    "brass": Sound((PITCH, TONE), ("trumpet", "brass note", "trumpet note")),
    "rain": Sound((TONE,), (), ("rain", "rain falling", "falling rain")),
    "wind": Sound((PITCH, TONE), (), ("wind", "wind blowing", "howling wind")),
    "waves": Sound((TONE, SPEED), (), ("ocean waves", "sea waves", "waves breaking")),
    "fire": Sound((TONE,), ("crackling fire", "camp fire"), ("fire crackling",)),
    "thunder": Sound((TONE,), ("peal of thunder", "rumble of thunder"), ("thunder", "rumbling thunder")),
    "applause": Sound((TONE,), ("clapping crowd", "clapping audience"), ("applause",)),
    "water drops": Sound((PITCH, SPEED), (), ("dripping water",), ("water drop", "drop of water"), ("water drops", "drops of water")),
    "siren": Sound((PITCH, TONE, SPEED), ("siren", "police siren", "wailing siren")),
    "alarm": Sound((PITCH, TONE, SPEED), ("beeping alarm", "alarm beeping"), ("alarm beeps",)),
    "engine": Sound((PITCH, TONE), ("engine", "running engine", "motor")),
    "helicopter": Sound((TONE, SPEED), ("helicopter", "hovering helicopter")),
    "laser": Sound(
        (PITCH, TONE, SPEED), ("laser gun", "laser"), (), ("laser shot", "laser zap"), ("laser shots", "laser zaps")
    ),
    "clock": Sound((PITCH, SPEED), ("ticking clock", "clock ticking")),
    "telephone": Sound((PITCH,), ("ringing telephone", "phone ringing", "telephone ringing")),
    "bird": Sound((PITCH, SPEED), ("bird", "songbird"), (), ("bird chirp", "bird tweet"), ("bird chirps", "bird tweets")),
    "dog": Sound((PITCH, SPEED), ("dog", "barking dog"), (), ("dog bark", "bark of a dog"), ("dog barks", "barks of a dog")),
    "footsteps": Sound((TONE, SPEED), (), ("footsteps", "footsteps walking", "walking footsteps")),
}  # fmt: skip
"""Every class, by the name that Prompt.tags and classifiers use."""

CLASSES: tuple[str, ...] = tuple(SOUNDS)

TEMPOS = tuple(range(80, 161, 10))
"""Beats per minute that captions state."""

BEFORE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("count", "one"): ("a single", "one"),
    ("count", "many"): ("several", "repeated", "many"),
    ("loudness", "loud"): ("loud", "very loud", "powerful"),
    ("loudness", "quiet"): ("quiet", "soft", "faint"),
    ("speed", "fast"): ("fast", "rapid", "quick"),
    ("speed", "slow"): ("slow", "unhurried"),
    ("pitch", "high"): ("high", "high pitched"),
    ("pitch", "low"): ("low", "low pitched", "deep"),
    ("brightness", "bright"): ("bright", "sharp", "crisp"),
    ("brightness", "dull"): ("dull", "mellow", "muffled"),
    ("space", "hall"): ("echoing",),
}
"""Said before the noun, in this order."""

AFTER: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{("tempo", str(bpm)): (f"at {bpm} bpm", f"at {bpm} beats per minute") for bpm in TEMPOS},
    ("position", "left"): ("on the left", "from the left", "on the left side"),
    ("position", "right"): ("on the right", "from the right", "on the right side"),
    ("position", "centre"): ("in the centre", "in the middle", "straight ahead"),
    ("space", "dry"): ("without reverb", "with no echo", "in a dry studio"),
    ("space", "room"): ("in a room", "in a small room"),
    ("space", "hall"): ("in a large hall", "in a big hall", "with long reverb"),
}
"""Said after the noun, in this order."""
