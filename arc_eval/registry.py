"""Plug-ins by name: ours and a stranger's are found by the same entry points."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from arc_eval.contracts import Settings
from arc_eval.errors import SuiteError, suggest

GROUPS = ("generators", "extractors", "metrics", "targets", "data")


@dataclass(frozen=True)
class Plugin:
    """An installed plug-in: its name, the distribution it came from, where its settings live."""

    name: str
    origin: str
    module: str


@cache
def _installed(group: str) -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"arc_eval.{group}")}


def plugins(group: str) -> list[Plugin]:
    """What is installed in a group, without importing any of it."""
    return [
        Plugin(name, f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown", entry.value)
        for name, entry in sorted(_installed(group).items())
    ]


def settings(group: str, data: Mapping[str, object], where: str) -> Settings:
    """Parses `{kind: name, ...}` into the plug-in's own settings.

    `where` is the place to name in errors, such as `suite.yaml: generators.arc`. Raises SuiteError
    for an unknown kind, an unknown key or a wrong value, with the near miss.
    """
    kind = data.get("kind")
    entry = _installed(group).get(str(kind))
    if entry is None:
        raise SuiteError(
            f"{where}.kind: no {group.rstrip('s')} {kind!r}; {suggest(str(kind), _installed(group))}"
        )
    try:
        cls = entry.load()
    except (ImportError, AttributeError) as error:
        raise SuiteError(f"{where}: plug-in {kind!r} ({entry.value}) cannot be imported: {error}") from error
    options = {key: value for key, value in data.items() if key != "kind"}
    try:
        parsed: Settings = cls.model_validate(options)
    except ValidationError as error:
        raise SuiteError(explain(error, where, cls.model_fields)) from error
    return parsed


def explain(error: ValidationError, where: str, fields: Mapping[str, FieldInfo]) -> str:
    """Pydantic's findings as one line each: place, what is wrong, what was meant.

    fields: of the settings that were parsed.
    """
    lines = []
    for finding in error.errors():
        place = ".".join([where, *map(str, finding["loc"])])
        if finding["type"] == "extra_forbidden":
            known = _keys_beside(finding["loc"], fields)
            lines.append(f"{place}: unknown key; {suggest(str(finding['loc'][-1]), known)}")
        elif finding["type"] == "value_error":
            lines.append(f"{place}: {finding['ctx']['error']}")
        else:
            lines.append(f"{place}: {finding['msg']} (got {finding.get('input')!r})")
    return "\n".join(lines)


def _keys_beside(place: Sequence[int | str], fields: Mapping[str, FieldInfo]) -> list[str]:
    """The keys that the settings around a place have, which may lie within other settings."""
    around = [fields]
    for step in place[:-1]:
        entered = [known[step] for known in around if isinstance(step, str) and step in known]
        if entered:
            around = [model.model_fields for field in entered for model in _models(field.annotation)]
        else:  # a place in a list, or the `kind` of one model among several
            around = [known for known in around if _kind(known) == step] or around
    return list(dict.fromkeys(key for known in around for key in known))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The settings that a type holds, however deep in unions and containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _kind(fields: Mapping[str, FieldInfo]) -> Any:
    return fields["kind"].default if "kind" in fields else None
