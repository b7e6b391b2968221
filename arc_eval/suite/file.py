"""A suite file as plain data: YAML that knows its lines, parent files, and overrides from the command line.

`include: PARENT` (a path beside the file, or the name of a shipped suite) starts from the parent:
mappings merge key by key, everything else is replaced, and a key set to null is taken away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml

from arc_eval.errors import SuiteError, suggest

Place = tuple[str | int, ...]
"""Keys from the top of the file to a value."""


@dataclass(frozen=True)
class SuiteFile:
    """What a file says, and on which line it says it."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Place, str] = field(default_factory=dict)
    """Place to `FILE:LINE`, parents' included."""
    overrides: tuple[str, ...] = ()
    """`KEY=VALUE` texts that changed the data."""

    def where(self, *place: str | int) -> str:
        """The place as errors name it: `suite.yaml:12: generators.arc`, and what was set at it or in it."""
        known = next(
            (self.lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.lines), None
        )
        key = ".".join(map(str, place))
        changed = [
            text for text in self.overrides if f"{text.partition('=')[0].strip()}.".startswith(f"{key}.")
        ]
        origin = ", ".join([known or str(self.path), *(f"--set {text}" for text in changed if key)])
        return ": ".join(filter(None, [origin, key]))


@cache
def shipped_suites() -> Mapping[str, Path]:
    """The suites that come with the package, by name: from the checkout, else from the installation."""
    folder = Path(__file__).resolve().parents[2] / "suites"
    if (folder / "quickstart.yaml").is_file():
        files = list(folder.glob("*.yaml"))
    else:
        try:
            installed = distribution("arc_eval").files or []
        except PackageNotFoundError:
            installed = []
        files = [Path(str(file.locate())) for file in installed if file.match("arc_eval/suites/*.yaml")]
    return {file.stem: file for file in sorted(files)}


def read_suite_file(name: str | Path, overrides: Sequence[str] = ()) -> SuiteFile:
    """Reads a file (or a shipped suite by its name) with its parents, then applies `KEY=VALUE` overrides.

    Raises SuiteError naming the file, the line, the key and the near miss.
    """
    file = _read(find_suite(name), seen=())
    for override in overrides:
        apply_override(file.data, override)
    return replace(file, overrides=tuple(overrides))


def find_suite(name: str | Path, beside: Path | None = None) -> Path:
    """The file of a suite: a path (relative to `beside`, if given), else a shipped suite's name."""
    path = (beside / name) if beside else Path(name)
    if path.is_file():
        return path
    if str(name) in shipped_suites():
        return shipped_suites()[str(name)]
    raise SuiteError(
        f"no suite {str(name)!r}: neither a file nor a shipped suite; {suggest(str(name), shipped_suites())}"
    )


def _read(path: Path, seen: tuple[Path, ...]) -> SuiteFile:
    if path.resolve() in seen:
        chain = " -> ".join(str(file) for file in [*seen, path.resolve()])
        raise SuiteError(f"{path}: include: a file includes itself: {chain}")
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SuiteError(f"{path}: not YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise SuiteError(f"{path}: a suite is a mapping of keys such as `name`, `prompts`, `generators`")
    lines: dict[Place, str] = {}
    data = _plain(node, (), path, lines)
    parent = data.pop("include", None)
    if parent is None:
        return SuiteFile(path, data, lines)
    base = _read(find_suite(str(parent), beside=path.parent), (*seen, path.resolve()))
    return SuiteFile(path, merged(base.data, data), {**base.lines, **lines})


def _plain(node: yaml.Node, place: Place, path: Path, lines: dict[Place, str]) -> Any:
    """The node as Python data. YAML itself lets a key appear twice and keeps the last; we do not."""
    line = f"{path}:{node.start_mark.line + 1}"
    lines.setdefault(place, line)
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key_node, value in node.value:
            key = str(key_node.value)
            line = f"{path}:{key_node.start_mark.line + 1}"
            if key in data:
                raise SuiteError(f"{line}: {'.'.join(map(str, (*place, key)))}: this key is given twice")
            lines[(*place, key)] = line
            data[key] = _plain(value, (*place, key), path, lines)
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, (*place, index), path, lines) for index, value in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        raise SuiteError(f"{line}: {'.'.join(map(str, place))}: {error}") from error


def merged(base: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """The child's keys over the base's; mappings of one `kind` merge, null takes a key away."""
    data = dict(base)
    for key, value in child.items():
        old = data.get(key)
        if value is None:
            data.pop(key, None)
        elif isinstance(old, Mapping) and isinstance(value, Mapping) and _same_kind(old, value):
            data[key] = merged(old, value)
        else:
            data[key] = value
    return data


def _same_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    # Settings of another plug-in share no keys with the old ones; merging would only leave strangers.
    return "kind" not in new or new["kind"] == old.get("kind")


def apply_override(data: dict[str, Any], text: str) -> None:
    """Changes one value in place: `generators.arc.steps=4`, the value in YAML; null takes a key away.

    Every key but the last must exist. Raises SuiteError with the near miss.
    """
    path, equals, value_text = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SuiteError(f"--set {text}: write KEY=VALUE, such as takes=2 or generators.arc.steps=4")
    try:
        value = yaml.safe_load(value_text)
    except yaml.YAMLError as error:
        raise SuiteError(f"--set {text}: the value is not YAML: {error}") from error
    holder: Any = data
    for depth, key in enumerate(keys[:-1]):
        holder = _child(holder, key, f"--set {text}: {'.'.join(keys[:depth])}".rstrip(": "))
    last = keys[-1]
    if isinstance(holder, list):
        holder[_index(holder, last, f"--set {text}")] = value
    elif not isinstance(holder, dict):
        raise SuiteError(f"--set {text}: {'.'.join(keys[:-1])} is the value {holder!r}, it has no keys")
    elif value is None:
        holder.pop(last, None)
    else:
        holder[last] = value


def _child(holder: Any, key: str, where: str) -> Any:
    if isinstance(holder, list):
        return holder[_index(holder, key, where)]
    if not isinstance(holder, dict) or key not in holder:
        known = holder if isinstance(holder, dict) else ()
        raise SuiteError(f"{where}: no key {key!r}; {suggest(key, map(str, known))}")
    return holder[key]


def _index(holder: list[Any], key: str, where: str) -> int:
    if not key.isdigit() or int(key) >= len(holder):
        raise SuiteError(f"{where}: {key!r} is not one of the places 0..{len(holder) - 1} of the list")
    return int(key)
