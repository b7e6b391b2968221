"""What a clip should sound like."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A caption to turn into `seconds` of audio.

    `tags` are the sound classes that the caption names, where they are known exactly; a
    recognition metric reads them, a generator never does.
    """

    id: str
    text: str
    seconds: float
    tags: tuple[str, ...] = ()
