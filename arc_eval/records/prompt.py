"""What a clip should sound like."""

from collections.abc import Iterable
from dataclasses import dataclass

RECORDING = "recording:"
"""What the name of a unit begins with that is all prompts of one recording."""


@dataclass(frozen=True)
class Prompt:
    """A caption to turn into `seconds` of audio.

    `tags` are the sound classes that the caption names, where they are known exactly; a
    recognition metric reads them, a generator never does. `recording` names the recording that the
    caption describes where others may describe it too.
    """

    id: str
    text: str
    seconds: float
    tags: tuple[str, ...] = ()
    recording: str = ""

    @property
    def unit(self) -> str:
        """What is independent of other prompts: the recording, else the prompt itself."""
        return self.recording or self.id


def clusters(prompts: Iterable[Prompt]) -> dict[str, str]:
    """Prompt id to the name of its unit, for prompts that are captions of a recording.

    Five captions of one recording are no five independent prompts: intervals resample them together.
    """
    return {prompt.id: f"{RECORDING}{prompt.unit}" for prompt in prompts if prompt.unit != prompt.id}
