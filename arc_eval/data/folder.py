"""Recordings in a folder with a list of captions, or a list of prompts alone.

The layout is Hugging Face's audiofolder: `metadata.csv` beside the files it names. `listing` says
which columns are understood.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.data.files import audio_files
from arc_eval.data.listing import Entry, read_listing
from arc_eval.dsp import read_audio
from arc_eval.errors import AudioError, DataError
from arc_eval.records.prompt import Prompt
from arc_eval.store import file_digest

LISTING = "metadata.csv"


class Settings(contracts.Settings):
    """`{kind: folder, path: sounds/}`, or `path: prompts.csv` for prompts without recordings.

    path: a folder with `metadata.csv`, or a CSV file (its `file_name`s, if it has any, are relative to
    its folder). prompts: another list for the folder; it may name a part of its files, or prompts
    whose recordings are missing; where it is silent about lengths they are unknown, for they must not
    depend on the recordings that answer it. columns: meaning to header name, such as `{id: audiocap_id}`.
    seconds: the length of every prompt, whatever the list says. longest: prompts ask for no more seconds
    than this, and of longer recordings only the beginning is read: for models that make no more.
    """

    path: Path
    prompts: Path | None = None
    columns: Mapping[Literal["caption", "file_name", "id", "seconds", "tags"], str] = {}
    seconds: float | None = Field(default=None, gt=0)
    longest: float | None = Field(default=None, gt=0)
    sample_rate: int = Field(default=44100, gt=0)
    channels: Literal[1, 2] = 2

    def build(self) -> "Folder":
        """Reads the list. Raises DataError if it contradicts itself or its folder."""
        return Folder(self)


class Folder:
    """Prompts in the list's order, each with one recording or none.

    A folder's own `metadata.csv` must name every audio file in it, and only files that exist: anything
    else is a mistake that would quietly change a reference set. With another list, a recording that
    is missing is said by `audio`, when it is asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sample_rate = settings.sample_rate
        path = settings.path
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; is `path` right?")
        if settings.prompts is not None and not path.is_dir():
            raise DataError(f"{path}: `prompts` goes with a folder of audio, but `path` is a file")
        self._folder = path if path.is_dir() else path.parent
        own = path / LISTING if path.is_dir() else path
        self._listing = settings.prompts or own
        self._entries = {
            entry.id: entry
            for entry in read_listing(
                self._listing, {str(meaning): name for meaning, name in settings.columns.items()}
            )
        }
        self._files = self._found()
        if settings.prompts is None and path.is_dir():
            _agree(self._listing, list(self._entries.values()), self._folder, self._files)

    def _found(self) -> dict[str, Path]:
        """Where each prompt's recording lies or should lie: by `file_name`, else a file named as the id."""
        named = {
            entry.id: self._folder / entry.file_name
            for entry in self._entries.values()
            if entry.file_name is not None
        }
        if named or not self.settings.path.is_dir():
            return named
        stems = {_stem(file, self._folder): file for file in audio_files(self._folder)}
        return {id_: stems.get(id_, self._folder / f"{id_}.wav") for id_ in self._entries}

    @cached_property
    def _prompts(self) -> list[Prompt]:
        return [
            Prompt(
                entry.id,
                entry.caption,
                min(self._seconds(entry), self._longest),
                entry.tags,
                self._shared.get(entry.file_name or "", ""),
            )
            for entry in self._entries.values()
        ]

    @cached_property
    def _shared(self) -> dict[str, str]:
        """The files with several captions, by their names in the list."""
        counts = Counter(entry.file_name for entry in self._entries.values() if entry.file_name)
        return {name: name for name, captions in counts.items() if captions > 1}

    @property
    def _longest(self) -> float:
        return math.inf if self.settings.longest is None else self.settings.longest

    def _seconds(self, entry: Entry) -> float:
        if self.settings.seconds is not None:
            return self.settings.seconds
        if entry.seconds is not None:
            return entry.seconds
        if entry.id not in self._files:
            raise DataError(
                f"{self._listing}, line {entry.line}: how long should {entry.id!r} be? "
                "Give the list a column `seconds`, or set `seconds`"
            )
        if self.settings.prompts is not None:
            return 0.0  # another folder that answers this list must see the same prompts
        try:
            samples, rate = read_audio(self._files[entry.id])
        except AudioError:
            return 0.0  # one damaged file must not cost the others; `audio` says what is wrong with it
        return samples.shape[-1] / rate

    def prompts(self) -> Sequence[Prompt]:
        """Every prompt of the list. Without a length in list or settings, the recording's own.

        Unknown lengths are 0: of recordings that cannot be read, and of prompts in another list than the
        folder's own. Recordings of such prompts can be judged; generators refuse to make them.
        Raises DataError if there is no length at all.
        """
        return self._prompts

    def takes(self) -> int:
        """1, or 0 for a list of prompts alone."""
        return int(bool(self._files))

    def audio(self, prompt_id: str, take: int = 0) -> Tensor:
        """float32[channel, time] at the settings' rate and channels, no longer than `longest`.

        Raises DataError for an unknown prompt, AudioError if it has no recording or it cannot be read.
        """
        entry = self._entries.get(prompt_id)
        if entry is None:
            near = get_close_matches(prompt_id, self._entries, n=3) or list(self._entries)[:3]
            raise DataError(f"{self._listing}: no prompt {prompt_id!r}; there are {', '.join(near)}, ...")
        if not self._files:
            raise AudioError(f"{self._listing}: a list of prompts alone, so {prompt_id!r} has no recording")
        if take != 0:
            raise AudioError(f"{self._folder}: {prompt_id!r} has one recording, so no take {take}")
        file = self._files[prompt_id]
        if not file.exists():
            raise AudioError(f"{file}: not found, though {self._listing}, line {entry.line} asks for it")
        samples, rate = read_audio(file, sample_rate=self.sample_rate, channels=self.settings.channels)
        return samples if self.settings.longest is None else samples[:, : round(self.settings.longest * rate)]

    def identity(self) -> Mapping[str, str]:
        """Digests of the list and of every recording's file; no path and no time enters it."""
        return {
            "kind": "folder",
            "list": file_digest(self._listing),
            "columns": str(sorted(self.settings.columns.items())),
            "recordings": self._recordings,
            "seconds": str(self.settings.seconds),
            "sample_rate": str(self.sample_rate),
            "channels": str(self.settings.channels),
            # Only where it acts: what was computed before there was such a setting keeps its name.
            **({} if self.settings.longest is None else {"longest": str(self.settings.longest)}),
        }

    @cached_property
    def _recordings(self) -> str:
        digest = hashlib.sha256()
        for prompt_id, file in self._files.items():
            digest.update(f"{prompt_id}\n{file_digest(file) if file.exists() else 'missing'}\n".encode())
        return digest.hexdigest()


def _stem(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()


def _agree(listing: Path, entries: Sequence[Entry], folder: Path, files: Mapping[str, Path]) -> None:
    """Raises DataError unless a folder and its own list name the same files."""
    absent = [
        f"{files[entry.id].name} (line {entry.line})" for entry in entries if not files[entry.id].is_file()
    ]
    if absent:
        raise DataError(
            f"{listing}: {len(absent)} of {len(entries)} prompts have no clip: {_few(absent)}; "
            "restore the files or remove the lines"
        )
    listed = {file.resolve() for file in files.values()}
    strays = [str(f.relative_to(folder)) for f in audio_files(folder) if f.resolve() not in listed]
    if strays:
        raise DataError(
            f"{folder}: {len(strays)} clips have no prompt in {listing.name}: {_few(strays)}; "
            "add lines for them or move them elsewhere"
        )


def _few(names: Sequence[str], shown: int = 5) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
