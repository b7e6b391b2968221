"""Clips that somebody generated already: a folder of audio files, found by prompt id.

The file of take 0 is named by the prompt's id (`rain-01.wav`), those of other takes by `id#take`. A
`metadata.csv` or another list with the columns `file_name` and `id` names them otherwise.
"""

import csv
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import read_audio
from arc_eval.errors import AudioError, DataError
from arc_eval.records.audio import clip_id
from arc_eval.records.prompt import Prompt
from arc_eval.store import file_digest

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Settings(contracts.Settings):
    """`{kind: folder, path: clips/}`."""

    path: Path
    names: Path | None = None
    """A CSV with columns `file_name` (relative to `path`) and `id`; default: the folder's `metadata.csv`."""
    sample_rate: int = Field(44100, gt=0)
    """Files at other rates are resampled to this one."""
    channels: Literal[1, 2] = 2
    """Mono is copied to both sides, stereo averaged to one: as recordings are, so that both compare."""

    def build(self) -> "Folder":
        """Finds the files. Raises DataError if there is no folder or two files have one name."""
        return Folder(self)


class Folder:
    """Recordings by file; a prompt without a file is a lost clip, with the near miss."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path
        if not self._path.is_dir():
            raise DataError(f"{self._path}: no such folder; is `path` right?")
        self.sample_rate = settings.sample_rate
        self._channels = settings.channels
        self._heard = {"sample_rate": str(settings.sample_rate), "channels": str(settings.channels)}
        self._files = _by_stem(self._path) | _by_list(self._path, settings.names)

    def origin(self, prompt: Prompt, take: int) -> Mapping[str, str]:
        """The file's content and how it is heard. Raises AudioError if there is no file."""
        file = self._file(prompt, take)
        try:
            return {"file": file_digest(file), **self._heard}
        except OSError as error:
            raise AudioError(f"{file}: cannot be read: {error.strerror}") from error

    def recording(self, prompt: Prompt, take: int) -> Tensor:
        """float32[channel, time]. Raises AudioError if the file is missing, empty or damaged."""
        file = self._file(prompt, take)
        return read_audio(file, sample_rate=self.sample_rate, channels=self._channels)[0]

    def identity(self) -> Mapping[str, str]:
        """Only where the clips are: what they hold is in each clip's own key."""
        return {"folder": self._path.resolve().name, **self._heard}

    def _file(self, prompt: Prompt, take: int) -> Path:
        names = [clip_id(prompt.id, take), *([prompt.id] if take == 0 else [])]
        for name in names:
            if name in self._files:
                return self._files[name]
        raise AudioError(f"{self._path}: no file for clip {names[-1]!r}; {_near(names[-1], self._files)}")


def _by_stem(path: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in SUFFIXES:
            name = file.relative_to(path).with_suffix("").as_posix()
            if name in files:
                raise DataError(
                    f"{path}: {files[name].name} and {file.name} are both named {name!r}; remove one"
                )
            files[name] = file
    return files


def _by_list(path: Path, names: Path | None) -> dict[str, Path]:
    """Files by the id that a list gives them; a list without ids gives none."""
    listing = names or path / "metadata.csv"
    if names is None and not listing.is_file():
        return {}
    try:
        with listing.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{listing}: cannot be read: {error}") from error
    return {row["id"]: path / row["file_name"] for row in rows if row.get("id") and row.get("file_name")}


def _near(name: str, files: Mapping[str, Path]) -> str:
    close = get_close_matches(name, files, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else f"{len(files)} other files are there"
