"""Numbers, columns, tables and JSON on stdout. Other people's text is shown on one line and inert."""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from arc_eval.escape import one_line


def as_json(data: object) -> None:
    """Prints data (dataclasses and settings included) as JSON; a NaN is an error, never a result."""
    typer.echo(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", exclude_none=True) if dump else str(value)


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Words aligned to the left, two spaces apart."""
    lines = [list(map(one_line, row)) for row in rows]
    widths = _widths(lines)
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """A row name and numbers aligned to the right.

    Columns that do not fit in `width` (the terminal's, unless given) go to further blocks, each
    with the row names repeated.
    """
    width = width or shutil.get_terminal_size((120, 24)).columns
    lines = [list(map(one_line, row)) for row in (head, *rows)]
    widths = _widths(lines)
    return "\n\n".join(
        "\n".join(
            "  ".join([line[0].ljust(widths[0]), *(line[column].rjust(widths[column]) for column in block)])
            for line in lines
        )
        for block in _blocks(widths, width)
    )


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _blocks(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Runs of columns that fit beside the first; at least one in each."""
    block: list[int] = []
    used = widths[0]
    for column in range(1, len(widths)):
        if block and used + 2 + widths[column] > width:
            yield block
            block, used = [], widths[0]
        block.append(column)
        used += 2 + widths[column]
    yield block
