"""What is heard in a scene: one or two sounds and exactly what their caption states of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arc_eval.data.synthetic.captions import caption, pick
from arc_eval.data.synthetic.signals import Rng
from arc_eval.data.synthetic.vocabulary import CLASSES, SOUNDS, TEMPOS

VALUES: Mapping[str, tuple[str, ...]] = {
    "count": ("one", "many"),
    "loudness": ("loud", "quiet"),
    "speed": ("fast", "slow"),
    "pitch": ("high", "low"),
    "brightness": ("bright", "dull"),
    "tempo": tuple(map(str, TEMPOS)),
    "position": ("left", "right", "centre"),
    "space": ("dry", "room", "hall"),
}
"""Every attribute and the values that a caption can state."""

PAIRS = 0.2
"""The share of scenes with two sounds."""

BACKGROUNDS = frozenset({"rain", "wind", "waves", "fire", "thunder", "applause", "engine", "helicopter"})
"""Sounds that fill a scene; two of them together would hide each other."""

ALIKE = (
    {"drum loop", "kick"}, {"drum loop", "snare"}, {"drum loop", "hi-hat"}, {"drum loop", "clap"},
    {"drum loop", "tom"}, {"drum loop", "cymbal"}, {"clap", "applause"}, {"clap", "snare"}, {"kick", "tom"},
    {"cymbal", "hi-hat"}, {"hi-hat", "clock"}, {"kick", "footsteps"},
)  # fmt: skip
"""Sounds that a listener could not tell from one of the two alone."""


@dataclass(frozen=True)
class Event:
    """One sound of a scene: its class, and the attributes that the caption states, by name."""

    sound: str
    stated: Mapping[str, str]


@dataclass(frozen=True)
class Scene:
    """The facts of a caption. What is not stated is drawn anew for every take.

    `space` is the room that all events share: a value of VALUES["space"], or None.
    """

    events: tuple[Event, ...]
    space: str | None
    caption: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The class of each event: what Prompt.tags holds."""
        return tuple(event.sound for event in self.events)


def partner(rng: Rng, sound: str) -> str:
    """A sound that can be told apart from `sound` when both are heard."""
    backdrop = sound not in BACKGROUNDS and rng.random() < 0.4
    options = [
        other
        for other in CLASSES
        if other != sound and (other in BACKGROUNDS) == backdrop and {other, sound} not in ALIKE
    ]
    return pick(rng, options)


def some(rng: Rng, options: Sequence[str], count: int) -> list[str]:
    """`count` different options, or all of them if they are fewer."""
    return [str(option) for option in rng.permutation(options)[:count]]


def facts(rng: Rng, sound: str, count: int) -> dict[str, str]:
    """About `count` attribute values for a sound alone; a stated speed needs many events."""
    known = SOUNDS[sound]
    options = [*known.attributes, "loudness", "position", *(["count"] if known.countable else [])]
    chosen = some(rng, options, count)
    if "tempo" in known.attributes and rng.random() < 0.6:
        chosen = ["tempo", *chosen]
    if "tempo" in chosen and "speed" in chosen:
        chosen.remove("speed")
    stated = {name: pick(rng, VALUES[name]) for name in VALUES if name in chosen}
    nameless = known.countable and not known.names and not known.mass
    if nameless and "count" not in stated:
        stated["count"] = pick(rng, VALUES["count"])
    if known.countable and "speed" in stated:
        stated["count"] = "many"
    return stated


def event_alone(rng: Rng, sound: str) -> Event:
    """None to three attributes, one most often."""
    return Event(sound, facts(rng, sound, int(rng.choice(4, p=[0.2, 0.4, 0.3, 0.1]))))


def event_in_company(rng: Rng, sound: str) -> Event:
    """About one attribute; a background may be stated quiet and the rest loud, so that both are heard."""
    stated = facts(rng, sound, int(rng.random() < 0.6))
    if "tempo" in stated:
        stated = {"tempo": stated["tempo"]}
    if "count" in stated:
        stated.pop("speed", None)
    if "loudness" in stated:
        stated["loudness"] = "quiet" if sound in BACKGROUNDS else "loud"
    return Event(sound, stated)


def draw_scene(rng: Rng, sound: str) -> Scene:
    """A scene with `sound` in it, and its caption."""
    if rng.random() < PAIRS:
        sounds = some(rng, [sound, partner(rng, sound)], 2)
        events = tuple(event_in_company(rng, other) for other in sounds)
        room_for_more = sum(len(event.stated) for event in events) < 2
        space = pick(rng, VALUES["space"]) if room_for_more and rng.random() < 0.2 else None
        shared = {} if space is None else {"space": space}
        return Scene(events, space, caption(rng, [(e.sound, e.stated) for e in events], shared))
    event = event_alone(rng, sound)
    space = pick(rng, VALUES["space"]) if len(event.stated) < 3 and rng.random() < 0.25 else None
    said = dict(event.stated) if space is None else {**event.stated, "space": space}
    return Scene((event,), space, caption(rng, [(sound, said)], {}))
