"""How a configuration is read: unknown keys are errors, values never change, one line for each finding."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arc_eval.errors import CheckpointError, suggest

Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """Base of every part of a model's configuration."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


P = TypeVar("P", bound=BaseModel)


def parse_part(part: type[P], data: Mapping[str, Any], where: str) -> P:
    """Reads one part of a configuration; `where` names it in errors.

    Raises CheckpointError with one line for each finding: the place, what is wrong, what is supported.
    """
    try:
        return part.model_validate(data)
    except ValidationError as error:
        raise CheckpointError("\n".join(_findings(error, part, where))) from error


def _findings(error: ValidationError, part: type[BaseModel], where: str) -> list[str]:
    known = {name for cls in {part, *_descendants(Part)} for name in cls.model_fields}
    lines = []
    for finding in error.errors():
        place = ".".join(map(str, finding["loc"])) or "configuration"
        if finding["type"] == "extra_forbidden":
            # The whole schema's keys are too many to list: only a near miss helps.
            near = suggest(str(finding["loc"][-1]), known).partition("known:")[0].strip()
            lines.append(f"{where}: {place}: unknown key, not supported; {near or 'remove it'}")
        elif finding["type"] == "value_error":
            lines.append(f"{where}: {place}: {finding['ctx']['error']}")
        else:
            lines.append(f"{where}: {place}: {finding['msg']} (got {_short(finding.get('input'))})")
    return lines


def _descendants(cls: type[BaseModel]) -> list[type[BaseModel]]:
    return [cls, *(part for child in cls.__subclasses__() for part in _descendants(child))]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
