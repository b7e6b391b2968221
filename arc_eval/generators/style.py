"""The clips that style transfer begins with: one file for every prompt, or a folder with one for each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from arc_eval.dsp import read_audio
from arc_eval.errors import DataError
from arc_eval.generators.folder import SUFFIXES, Folder
from arc_eval.generators.folder import Settings as FolderSettings
from arc_eval.records.prompt import Prompt
from arc_eval.store import digest_of, file_digest

LIST = "metadata.csv"
"""What in a folder decides, besides the files' names, which file is whose."""


@dataclass(frozen=True)
class Beginning:
    """The clip that a prompt's sampling begins with."""

    name: Callable[[Prompt], str]
    """Which clip it is: prompts with one name share a clip."""
    clip: Callable[[Prompt], Tensor]
    """float32[channel, time]."""


def beginning(path: Path, sample_rate: int, channels: int) -> Beginning:
    """Reads the file (or the prompt's file in the folder) at the model's own rate and channel count.

    Raises DataError if there is nothing at `path`; what it returns raises AudioError for a clip that
    is missing or damaged.
    """
    if path.is_dir():
        heard = {"path": path, "sample_rate": sample_rate, "channels": channels}
        folder = Folder(FolderSettings.model_validate(heard))
        return Beginning(
            name=lambda prompt: folder.origin(prompt, 0)["file"],
            clip=lambda prompt: folder.recording(prompt, 0),
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; is `init_audio` right?")
    clip, _ = read_audio(path, sample_rate=sample_rate, channels=channels)
    return Beginning(name=lambda prompt: str(path), clip=lambda prompt: clip)


def content(path: Path) -> str:
    """A digest of the file, or of all audio of the folder, its names and its list."""
    if path.is_file():
        return file_digest(path)
    files = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES]
    files += [file for file in [path / LIST] if file.is_file()]
    return digest_of({file.relative_to(path).as_posix(): file_digest(file) for file in files})
