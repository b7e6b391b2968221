"""The clips that style transfer begins with: one file for every prompt, or a folder with one for each."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from arc_eval.dsp import read_audio
from arc_eval.errors import DataError
from arc_eval.generators.folder import SUFFIXES, Folder
from arc_eval.generators.folder import Settings as FolderSettings
from arc_eval.records.prompt import Prompt
from arc_eval.store import digest_of, file_digest

Beginning = Callable[[Prompt], Tensor]
"""A prompt to the clip that its sampling begins with, float32[channel, time]."""


def beginning(path: Path, sample_rate: int, channels: int) -> Beginning:
    """Reads the file (or the prompt's file in the folder) at the model's own rate and channel count.

    Raises DataError if there is nothing at `path`; what it returns raises AudioError for a clip that
    is missing or damaged.
    """
    if path.is_dir():
        heard = {"path": path, "sample_rate": sample_rate, "channels": channels}
        folder = Folder(FolderSettings.model_validate(heard))
        return lambda prompt: folder.recording(prompt, 0)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; is `init_audio` right?")
    clip, _ = read_audio(path, sample_rate=sample_rate, channels=channels)
    return lambda prompt: clip


def content(path: Path) -> str:
    """A digest of the file, or of all audio of the folder with its names."""
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    return digest_of({file.relative_to(path).as_posix(): file_digest(file) for file in files})
