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
        """Whether captions may say how often it sounds."""
        return bool(self.many)


PITCH, TONE, SPEED = "pitch", "brightness", "speed"

SOUNDS: Mapping[str, Sound] = {
    "kick": Sound(
        (PITCH, TONE, SPEED), names=("kick drum", "bass drum"), one=("kick drum hit", "bass drum hit"),
        many=("kick drum hits", "bass drum beats"),
    ),
    "snare": Sound(
        (TONE, SPEED), names=("snare drum", "snare"), one=("snare hit", "snare drum hit"),
        many=("snare hits", "snare drum hits"),
    ),
    "hi-hat": Sound(
        (TONE, SPEED), names=("hi-hat",), one=("hi-hat hit", "hi-hat tap"),
        many=("hi-hat hits", "hi-hat taps"),
    ),
    "clap": Sound((TONE, SPEED), one=("hand clap", "clap of hands"), many=("hand claps", "claps of hands")),
    "tom": Sound(
        (PITCH, TONE, SPEED), names=("tom drum", "tom-tom"), one=("tom drum hit", "tom hit"),
        many=("tom drum hits", "tom hits"),
    ),
    "cymbal": Sound(
        (TONE, SPEED), names=("crash cymbal", "cymbal"), one=("cymbal crash",), many=("cymbal crashes",)
    ),
    "drum loop": Sound((SPEED, "tempo"), names=("drum loop", "drum beat", "drum groove")),
    "guitar": Sound(
        (PITCH, TONE, SPEED), names=("plucked string", "plucked guitar"),
        one=("plucked guitar note", "pluck of a guitar string"),
        many=("plucked guitar notes", "plucked string notes"),
    ),
    "piano": Sound((PITCH, TONE, SPEED), names=("piano",), one=("piano note",), many=("piano notes",)),
    "bell": Sound(
        (PITCH, TONE, SPEED), names=("bell", "church bell"), one=("bell strike", "church bell strike"),
        many=("bell strikes", "church bell strikes"),
    ),
    "organ": Sound((PITCH, TONE), names=("organ chord", "pipe organ", "held organ chord")),
    "flute": Sound((PITCH, TONE), names=("flute", "flute note", "flute tone")),
    "brass": Sound((PITCH, TONE), names=("trumpet", "brass note", "trumpet note")),
    "rain": Sound((TONE,), mass=("rain", "rain falling", "falling rain")),
    "wind": Sound((PITCH, TONE), mass=("wind", "wind blowing", "howling wind")),
    "waves": Sound((TONE, SPEED), mass=("ocean waves", "sea waves", "waves breaking")),
    "fire": Sound((TONE,), names=("crackling fire", "camp fire"), mass=("fire crackling",)),
    "thunder": Sound(
        (TONE,), names=("peal of thunder", "rumble of thunder"), mass=("thunder", "rumbling thunder")
    ),
    "applause": Sound((TONE,), names=("clapping crowd", "clapping audience"), mass=("applause",)),
    "water drops": Sound(
        (PITCH, SPEED), mass=("dripping water",), one=("water drop", "drop of water"),
        many=("water drops", "drops of water"),
    ),
    "siren": Sound((PITCH, TONE, SPEED), names=("siren", "police siren", "wailing siren")),
    "alarm": Sound((PITCH, TONE, SPEED), names=("beeping alarm", "alarm beeping"), mass=("alarm beeps",)),
    "engine": Sound((PITCH, TONE), names=("engine", "running engine", "motor")),
    "helicopter": Sound((TONE, SPEED), names=("helicopter", "hovering helicopter")),
    "laser": Sound(
        (PITCH, TONE, SPEED), names=("laser gun", "laser"), one=("laser shot", "laser zap"),
        many=("laser shots", "laser zaps"),
    ),
    "clock": Sound((PITCH, SPEED), names=("ticking clock", "clock ticking")),
    "telephone": Sound((PITCH,), names=("ringing telephone", "phone ringing", "telephone ringing")),
    "bird": Sound(
        (PITCH, SPEED), names=("bird", "songbird"), one=("bird chirp", "bird tweet"),
        many=("bird chirps", "bird tweets"),
    ),
    "dog": Sound(
        (PITCH, SPEED), names=("dog", "barking dog"), one=("dog bark", "bark of a dog"),
        many=("dog barks", "barks of a dog"),
    ),
    "footsteps": Sound((TONE, SPEED), mass=("footsteps", "footsteps walking", "walking footsteps")),
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
