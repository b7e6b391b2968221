"""A list of prompts as CSV (UTF-8, a header, RFC 4180 quoting), read strictly.

Columns, by any of their names: `caption`, `text` or `prompt`; and where there are any: `file_name`;
`id`; `seconds`, `duration` or `duration_s`; `tags`, `category` or `label` (several joined by `|`).
Every complaint names the file, the line, the column and the remedy.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from arc_eval.errors import DataError, suggest

ALIASES: Mapping[str, tuple[str, ...]] = {
    "caption": ("caption", "text", "prompt"),
    "file_name": ("file_name",),
    "id": ("id",),
    "seconds": ("seconds", "duration", "duration_s"),
    "tags": ("tags", "category", "label"),
}
"""What a column means, and the names it is found by: the first that the header has."""


@dataclass(frozen=True)
class Entry:
    """One prompt of a list; what the list does not say is None or empty."""

    line: int
    id: str
    caption: str
    file_name: str | None
    seconds: float | None
    tags: tuple[str, ...]


def read_listing(path: Path, columns: Mapping[str, str]) -> list[Entry]:
    """Every prompt of a list, in order, with unique ids.

    columns: meaning (a key of ALIASES) to header name, for lists that use other names. The id is the
    `id` column, else the file's name without its suffix, else the line's number. Raises DataError.
    """
    rows = read_rows(path)
    header_line, header = next(rows, (1, []))
    if not header:
        raise DataError(f"{path}: the file is empty; its first line must name the columns")
    where = f"{path}, line {header_line}"
    places = {meaning: _place(where, header, meaning, columns) for meaning in ALIASES}
    if places["caption"] is None:
        raise DataError(
            f"{where}: no column {', '.join(ALIASES['caption'])} in the header ({', '.join(header)}); "
            "rename one, or say which in `columns`"
        )
    entries = [_entry(path, line, cells, header, places) for line, cells in rows]
    if not entries:
        raise DataError(f"{path}: names its columns but lists no prompt")
    _unique(path, entries, places["id"] is not None)
    return entries


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The first line of each record, and its cells; blank lines are skipped. Raises DataError."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; list the captions there (columns file_name and caption)"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: not CSV: {error}; is a quotation mark unclosed?") from error


def _place(where: str, header: Sequence[str], meaning: str, columns: Mapping[str, str]) -> int | None:
    """Where a column stands, or None. Raises DataError if it is named but absent, or stands twice."""
    named = columns.get(meaning)
    if named is not None and named not in header:
        raise DataError(f"{where}: no column {named!r} for `columns.{meaning}`; {suggest(named, header)}")
    found = [name for name in ([named] if named else ALIASES[meaning]) if name in header]
    if not found:
        return None
    if header.count(found[0]) > 1:
        raise DataError(f"{where}: column {found[0]!r} stands twice in the header; remove or rename one")
    return header.index(found[0])


def _entry(
    path: Path, line: int, cells: Sequence[str], header: Sequence[str], places: Mapping[str, int | None]
) -> Entry:
    where = f"{path}, line {line}"
    if len(cells) != len(header):
        raise DataError(
            f"{where}: {len(cells)} cells under {len(header)} columns; a cell that holds a comma needs quotes"
        )
    said = {meaning: None if place is None else cells[place].strip() for meaning, place in places.items()}
    for meaning in ("caption", "file_name", "id"):
        place = places[meaning]
        if place is not None and not said[meaning]:
            raise DataError(f"{where}, column {header[place]!r}: empty; fill it in or remove the line")
    file_name = said["file_name"]
    if file_name is not None:
        _stay_inside(f"{where}, column {header[places['file_name'] or 0]!r}", file_name)
    own_name = str(PurePosixPath(file_name).with_suffix("")) if file_name else str(line)
    return Entry(
        line=line,
        id=said["id"] or own_name,
        caption=said["caption"] or "",
        file_name=file_name,
        seconds=positive_seconds(f"{where}, column {header[places['seconds'] or 0]!r}", said["seconds"]),
        tags=tuple(tag.strip() for tag in (said["tags"] or "").split("|") if tag.strip()),
    )


def _stay_inside(where: str, file_name: str) -> None:
    parts = PurePosixPath(file_name)
    if parts.is_absolute() or ".." in parts.parts or not parts.name:
        raise DataError(
            f"{where}: {file_name!r} leads out of the folder; name files relative to the list's own"
        )


def positive_seconds(where: str, text: str | None) -> float | None:
    """A cell's number, None if it is empty. Raises DataError, which names the place as `where`."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise DataError(
            f"{where}: {text!r} is not a positive number of seconds; correct it or leave it empty"
        )
    return seconds


def _unique(path: Path, entries: Sequence[Entry], have_ids: bool) -> None:
    first: dict[str, int] = {}
    for entry in entries:
        line = first.setdefault(entry.id, entry.line)
        if line != entry.line:
            remedy = "rename one" if have_ids else "give the list a column `id`"
            raise DataError(f"{path}, line {entry.line}: id {entry.id!r} was used on line {line}; {remedy}")
