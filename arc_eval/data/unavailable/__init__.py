"""Lists of recordings that cannot be had: one name a line, `#` begins a remark."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from arc_eval.errors import DataError

FOLDER = Path(__file__).parent

Declared = Literal["published"] | Path
"""The list that ships with the package, or a file."""


def declared_missing(list_: Declared, kind: str, known: Collection[str]) -> tuple[str, frozenset[str]]:
    """What the list is called, and those of `known` recordings that it names.

    A list may name more than this set has, but not only such. Raises DataError.
    """
    path = list_ if isinstance(list_, Path) else FOLDER / f"{kind}.txt"
    if not isinstance(list_, Path) and not path.is_file():
        shipped = sorted(file.stem for file in FOLDER.glob("*.txt"))
        raise DataError(
            f"missing: no list of {kind} is published (there are {', '.join(shipped)}); name a file "
            "with one recording's id on each line"
        )
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the list of missing recordings cannot be read: {error}") from error
    named = {line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")}
    found = frozenset(named & set(known))
    if not found and isinstance(list_, Path):
        example = min(named, default="")
        near = get_close_matches(example, known, n=1) or sorted(known)[:1]
        says = f"none of its {len(named)} ids, such as {example!r}," if named else "no id; none"
        raise DataError(f"{path}: {says} is a recording of the list; they look like {', '.join(near)}")
    return (f"published list of {kind}" if not isinstance(list_, Path) else path.name), found
