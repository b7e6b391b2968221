"""Published sets of captioned recordings: what their lists have in common.

A list is a CSV as it was published. Several captions may describe one recording, which the reference set
holds once. The audio is not published: the user has a folder of it, or has prompts alone.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.data.files import NamedFiles
from arc_eval.data.listing import positive_seconds, read_rows
from arc_eval.data.unavailable import Declared, declared_missing
from arc_eval.dsp import read_audio
from arc_eval.errors import AudioError, DataError, suggest
from arc_eval.records.missing import Missing
from arc_eval.records.prompt import Prompt
from arc_eval.store import digest_of, file_digest


@dataclass(frozen=True)
class Line:
    """One line of a list; `where` names it in errors."""

    where: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """The cell. Raises DataError if it is empty."""
        if not self.cells[column]:
            raise DataError(f"{self.where}, column {column!r}: empty; fill it in or remove the line")
        return self.cells[column]

    def seconds(self, column: str) -> float:
        """The cell as seconds above 0. Raises DataError."""
        found = positive_seconds(f"{self.where}, column {column!r}", self.text(column))
        assert found is not None
        return found


@dataclass(frozen=True)
class Caption:
    """What a line says: the caption's id and text, and the recording that it describes.

    part: where in its source the recording lies; all captions of one recording say the same.
    file: how its file may be named besides `recording`, without suffix.
    """

    id: str
    text: str
    recording: str
    seconds: float
    part: str = ""
    file: str = ""


@dataclass(frozen=True)
class Layout:
    """How a published set writes its list: its name, the columns that it must have, what a line means."""

    kind: str
    columns: tuple[str, ...]
    read: Callable[[Line], Caption]


class Settings(contracts.Settings):
    """`{kind: NAME, csv: LIST, audio: FOLDER}`; without `audio` the set gives prompts alone.

    missing: recordings that cannot be had, a file with one id a line, or `published` for the list of those
    that the authors of the published scores could not get. They are in no reference set, paired with no
    clip, and their captions get no ceiling and no floor; their captions stay prompts, as in the published
    protocol. A file is not read even if it is there: the set is the same wherever it is measured.
    seconds: the length of every prompt, whatever the list says. longest: prompts ask for no more seconds
    than this, and of longer recordings only the beginning is read.
    """

    layout: ClassVar[Layout]

    csv: Path
    audio: Path | None = None
    missing: Declared | None = None
    seconds: float | None = Field(default=None, gt=0)
    longest: float | None = Field(default=None, gt=0)
    sample_rate: int = Field(default=44100, gt=0)
    channels: Literal[1, 2] = 2

    def build(self) -> "Captioned":
        """Reads the list and looks for the files. Raises DataError if the list contradicts itself."""
        return Captioned(self)


class Captioned:
    """Prompts in the list's order; `audio` says which recording is neither found nor declared missing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sample_rate = settings.sample_rate
        self._captions = {caption.id: caption for caption in read_captions(settings.csv, settings.layout)}
        self._recordings = {caption.recording: caption for caption in self._captions.values()}
        self._missing = self._declared()
        self._files = NamedFiles(settings.audio) if settings.audio else None

    def _declared(self) -> Missing | None:
        list_ = self.settings.missing
        if list_ is None:
            return None
        name, found = declared_missing(list_, self.settings.layout.kind, self._recordings.keys())
        prompts = sum(caption.recording in found for caption in self._captions.values())
        return Missing(name, tuple(sorted(found)), len(self._recordings), prompts)

    @cached_property
    def _prompts(self) -> list[Prompt]:
        longest = self.settings.longest or math.inf
        return [
            Prompt(c.id, c.text, min(self.settings.seconds or c.seconds, longest), recording=c.recording)
            for c in self._captions.values()
        ]

    def prompts(self) -> Sequence[Prompt]:
        """Every caption of the list."""
        return self._prompts

    def missing(self) -> Missing | None:
        """The recordings declared missing; None if none were."""
        return self._missing

    def takes(self) -> int:
        """1, or 0 without a folder of audio."""
        return int(self._files is not None)

    def audio(self, prompt_id: str, take: int = 0) -> Tensor:
        """float32[channel, time] at the settings' rate and channels, no longer than `longest`.

        Raises DataError for an unknown prompt, AudioError if it has no recording or it cannot be read.
        """
        settings, caption = self.settings, self._captions.get(prompt_id)
        if caption is None:
            near = get_close_matches(prompt_id, self._captions, n=3) or list(self._captions)[:3]
            raise DataError(f"{settings.csv}: no prompt {prompt_id!r}; there are {', '.join(near)}, ...")
        name = caption.recording
        if self._files is None:
            raise AudioError(f"{settings.csv}: read without `audio`, so {prompt_id!r} has no recording")
        if take != 0:
            raise AudioError(f"{self._files.folder}: {name!r} is one recording, so there is no take {take}")
        if self._missing and name in self._missing.recordings:
            raise AudioError(f"{name}: declared missing by {self._missing.declared}")
        file = self._found(caption)
        if file is None:
            raise AudioError(
                f"{self._files.folder}: no recording {name}.wav (.flac, .ogg, .mp3) of prompt {prompt_id!r}; "
                "put it there, or declare it with `missing`"
            )
        samples, rate = read_audio(file, sample_rate=self.sample_rate, channels=settings.channels)
        return samples if settings.longest is None else samples[:, : round(settings.longest * rate)]

    def _found(self, caption: Caption) -> Path | None:
        names = filter(None, (caption.file, caption.recording))
        return self._files.find(list(names)) if self._files else None

    def identity(self) -> Mapping[str, str]:
        """Digests of the list, of what is declared missing and of every recording's file; no path enters."""
        settings = self.settings
        return {
            "kind": settings.layout.kind,
            "list": file_digest(settings.csv),
            "missing": digest_of(self._missing.recordings if self._missing else []),
            "recordings": self._digest,
            "seconds": str(settings.seconds),
            "longest": str(settings.longest),
            "sample_rate": str(self.sample_rate),
            "channels": str(settings.channels),
        }

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        missing = self._missing.recordings if self._missing else ()
        for name, caption in self._recordings.items() if self._files else ():
            if name not in missing:
                file = self._found(caption)
                digest.update(f"{name}\n{file_digest(file) if file else 'missing'}\n".encode())
        return digest.hexdigest()


def read_captions(path: Path, layout: Layout) -> list[Caption]:
    """Every caption of a published list, in order. Raises DataError.

    Refused are columns other than the published ones, an id that stands twice, and captions that put one
    recording at two places.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; {layout.kind} needs the CSV that was published with it "
            f"(columns {', '.join(layout.columns)})"
        )
    rows = read_rows(path)
    _, header = next(rows, (1, []))
    for column in layout.columns:
        if header.count(column) != 1:
            found = suggest(column, header) if column not in header else "it stands twice"
            raise DataError(f"{path}: a list of {layout.kind} has one column {column!r}; {found}")
    lines = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {number}: {len(cells)} cells under {len(header)} columns; "
                "a cell that holds a comma needs quotes"
            )
        stripped = (cell.strip() for cell in cells)
        lines.append(Line(f"{path}, line {number}", dict(zip(header, stripped, strict=True))))
    captions = [layout.read(line) for line in lines]
    if not captions:
        raise DataError(f"{path}: names its columns but lists no caption; is the download complete?")
    _agree(lines, captions)
    return captions


def _agree(lines: Sequence[Line], captions: Sequence[Caption]) -> None:
    ids: dict[str, str] = {}
    places: dict[str, tuple[str, Caption]] = {}
    for line, caption in zip(lines, captions, strict=True):
        if caption.id in ids:
            raise DataError(f"{line.where}: id {caption.id!r} was used at {ids[caption.id]}; remove one line")
        ids[caption.id] = line.where
        where, first = places.setdefault(caption.recording, (line.where, caption))
        if (first.part, first.file, first.seconds) != (caption.part, caption.file, caption.seconds):
            raise DataError(
                f"{line.where}: recording {caption.recording!r} is {caption.part or caption.file}, "
                f"at {where} it is {first.part or first.file}; two recordings need two names"
            )
