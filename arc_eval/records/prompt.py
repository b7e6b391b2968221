"""What a clip should sound like."""

from dataclasses import dataclass


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
