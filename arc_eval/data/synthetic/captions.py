"""From a scene's facts to a short English phrase, in varied wording, and back."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from arc_eval.data.synthetic.signals import Rng
from arc_eval.data.synthetic.vocabulary import AFTER, BEFORE, SOUNDS

MOST_WORDS = 14
TRIES = 40

OPENINGS = ("", "", "", "the sound of ", "a recording of ")
JOINTS = ("with", "and", "over", "together with")

Choose = Callable[[Sequence[str]], str]
"""Takes one of several wordings of the same thing."""


def pick(rng: Rng, options: Sequence[str]) -> str:
    """Any of the options."""
    return options[int(rng.integers(len(options)))]


def shortest(options: Sequence[str]) -> str:
    """The option with the fewest words."""
    return min(options, key=lambda option: len(option.split()))


def article(words: str) -> str:
    """With "a" or "an" before it."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def noun(choose: Choose, sound: str, count: str | None) -> tuple[str, bool]:
    """What to call a sound, and whether it needs an article."""
    known = SOUNDS[sound]
    if count is not None:
        return choose(known.one if count == "one" else known.many), False
    name = choose(known.names + known.mass)
    return name, name in known.names


def phrase(choose: Choose, sound: str, stated: Mapping[str, str]) -> str:
    """One sound with everything that is stated of it: "a loud bell on the left"."""
    said = {fact: choose(BEFORE.get(fact, ()) + AFTER.get(fact, ())) for fact in stated.items()}
    before = [said[fact] for fact in BEFORE if said.get(fact) in BEFORE[fact]]
    after = [said[fact] for fact in AFTER if said.get(fact) in AFTER[fact]]
    name, countable = noun(choose, sound, stated.get("count"))
    front = " ".join([*before, name])
    return " ".join([article(front) if countable else front, *after])


def wording(
    choose: Choose, sounds: Sequence[tuple[str, Mapping[str, str]]], shared: Mapping[str, str]
) -> str:
    """One way to say it, of any length."""
    together = f" {choose(JOINTS)} ".join(phrase(choose, *sound) for sound in sounds)
    return choose(OPENINGS) + " ".join([together, *(choose(AFTER[fact]) for fact in shared.items())])


def caption(rng: Rng, sounds: Sequence[tuple[str, Mapping[str, str]]], shared: Mapping[str, str]) -> str:
    """A phrase of 2 to 14 words for one or two sounds; `shared` is stated once, of all of them.

    What can hardly be said in 14 words is said in the shortest way.
    """
    for _ in range(TRIES):
        text = wording(partial(pick, rng), sounds, shared)
        if 2 <= len(text.split()) <= MOST_WORDS:
            return text
    return wording(shortest, sounds, shared)


def stated_in(text: str) -> set[tuple[str, str]]:
    """The attribute values that a caption states, whatever the sounds: the inverse of `phrase`."""
    return {
        fact
        for words in (BEFORE, AFTER)
        for fact, phrases in words.items()
        if any(re.search(rf"(?<![\w-]){re.escape(said)}(?![\w-])", text) for said in phrases)
    }


def caption_words() -> set[str]:
    """Every word that a caption can hold."""
    phrases = [*OPENINGS, *JOINTS, "a an"]
    for words in (BEFORE, AFTER):
        phrases += [said for options in words.values() for said in options]
    for sound in SOUNDS.values():
        phrases += [*sound.names, *sound.mass, *sound.one, *sound.many]
    return set(" ".join(phrases).split())
