"""Clips that somebody generated already: a folder of audio files, found by prompt id.

The file of take 0 is named by the prompt's id (`rain-01.wav`), those of other takes by `id#take`. A
`metadata.csv` or another list with the columns `file_name` and `id` names them otherwise.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.dsp import read_audio
from arc_eval.errors import AudioError, DataError, suggest
from arc_eval.records.audio import clip_id
from arc_eval.records.prompt import Prompt
from arc_eval.store import file_digest

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Settings(contracts.Settings):
    """`{kind: folder, path: clips/}`."""

    path: Path
    names: Path | None = None
    """A CSV with the columns `file_name` (relative to `path`) and `id`; default: the folder's `metadata.csv`."""
    sample_rate: int = Field(44100, gt=0)
    """Files at other rates are resampled to this one."""

    def build(self) -> "Folder":
        """Finds the files. Raises DataError if there is no folder or two files have one name."""
        return Folder(self.path, self.names, self.sample_rate)


class Folder:
    """Recordings by file; a prompt without a file is a lost clip, with the near miss."""

    def __init__(self, path: Path, names: Path | None, sample_rate: int) -> None:
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; is `path` right?")
        self.sample_rate = sample_rate
        self._path = path
        self._files = _by_stem(path) | _by_list(path, names)

    def origin(self, prompt: Prompt, take: int) -> Mapping[str, str]:
        """The file's content, and the rate it is read at. Raises AudioError if there is no file."""
        return {"file": file_digest(self._file(prompt, take)), "sample_rate": str(self.sample_rate)}

    def recording(self, prompt: Prompt, take: int) -> Tensor:
        """float32[channel, time]. Raises AudioError if the file is missing, empty or damaged."""
        return read_audio(self._file(prompt, take), sample_rate=self.sample_rate)[0]

    def identity(self) -> Mapping[str, str]:
        """Only where the clips are: what they hold is in each clip's own key."""
        return {"folder": self._path.name, "sample_rate": str(self.sample_rate)}

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
    if not files:
        return f"the folder holds no {', '.join(SUFFIXES)} file"
    known = suggest(name, files)
    return (
        known
        if len(files) <= 8 or (known.startswith("did") and len(known) < 200)
        else _short(known, len(files))
    )


def _short(known: str, count: int) -> str:
    hint, _, _ = known.partition("known:")
    return f"{hint}{count} other files are there"
