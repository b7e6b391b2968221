"""How a configuration is read: unknown keys are errors, values never change, one line for each finding."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arc_eval.errors import CheckpointError, suggest

Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """Base of every part of a model's configuration."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


P = TypeVar("P", bound=BaseModel)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError if it is absent, not JSON or no object."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: not found; a model needs its configuration beside it") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: must hold a JSON object, not {type(data).__name__}")
    return data


def parse_part(part: type[P], data: Mapping[str, Any], where: str) -> P:
    """Reads one part of a configuration; `where` names it in errors.

    Raises CheckpointError with one line for each finding: the place, what is wrong, what is supported.
    """
    try:
        return part.model_validate(data)
    except ValidationError as error:
        parts: set[type[BaseModel]] = {part, *_descendants(Part)}
        known = {name for cls in parts for name in cls.model_fields}
        findings = error.errors()
        # Another kind of model differs in everything: only that it is another one helps.
        telling = [finding for finding in findings if finding["loc"] == ("model_type",)] or findings
        lines = [f"{where}: {_said(finding, data, known)}" for finding in telling]
        raise CheckpointError("\n".join(lines)) from error


Finding = Mapping[str, Any]
"""What pydantic says of one mistake: `loc`, `type`, `msg`, `input` and perhaps `ctx`."""

EXPLAIN: Mapping[str, Callable[[Finding], str]] = {
    "missing": lambda finding: "this key is required",
    "value_error": lambda finding: str(finding["ctx"]["error"]),
    "literal_error": lambda finding: _unsupported(finding["input"], finding["ctx"]["expected"]),
    "union_tag_invalid": lambda finding: _unsupported(finding["ctx"]["tag"], finding["ctx"]["expected_tags"]),
    "union_tag_not_found": lambda finding: f"the key {finding['ctx']['discriminator']} is required",
}
"""How each type of finding is put; the others keep pydantic's words."""


def _said(finding: Finding, data: Mapping[str, Any], known: set[str]) -> str:
    place = ".".join(map(str, _path(finding, data))) or "configuration"
    if finding["type"] == "extra_forbidden":
        last = finding["loc"][-1]
        # The whole schema's keys are too many to list: only a near miss helps.
        near = suggest(str(last), known - {last}).partition("known:")[0].strip()
        return f"{place}: unknown key, not supported; {near or 'remove it'}"
    explain = EXPLAIN.get(finding["type"])
    words = explain(finding) if explain else f"{finding['msg']} (got {_short(finding.get('input'))})"
    return f"{place}: {words}"


def _path(finding: Finding, data: object) -> Iterator[object]:
    """The keys that lead to a finding in the file: pydantic puts the chosen type's name between them."""
    *way, last = finding["loc"] or [""]
    for step in way:
        if _holds(data, step):
            data = data[step]  # type: ignore[index]
            yield step
    if last != "":
        yield last
    if finding["type"] == "union_tag_invalid":
        yield finding["ctx"]["discriminator"].strip("'")


def _holds(data: object, step: object) -> bool:
    if isinstance(data, Mapping):
        return step in data
    return isinstance(data, Sequence) and isinstance(step, int)


def _unsupported(found: object, supported: str) -> str:
    return f"{_short(found)} is not supported; supported: {supported}"


def _descendants(cls: type[BaseModel]) -> list[type[BaseModel]]:
    return [cls, *(part for child in cls.__subclasses__() for part in _descendants(child))]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
