"""Which code decides a result: a plug-in's module and what it imports, one through another.

Results of other code have other keys, and a change elsewhere leaves every result where it is. Imports are
read from the source, those inside functions too; nothing is run for it.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

from arc_eval.errors import StoreError

OWN = "arc_eval"
SAYING = (
    OWN, "arc_eval.code", "arc_eval.contracts", "arc_eval.errors", "arc_eval.registry", "arc_eval.store",
)  # fmt: skip
"""Modules that state the version, forms, messages and keys; they decide no number."""


def code_digest(plugin: object) -> str:
    """sha256 of the source of the module that an object's class lies in, and of what that imports.

    Raises StoreError if the class was made where there is no source file.
    """
    return _digest(type(plugin).__module__)


def imported(module: str) -> Mapping[str, Path]:
    """A module and all that it imports from its own top-level package and from arc_eval, with their files.

    Raises StoreError if the module has no source file.
    """
    path = _file(module)
    if path is None:
        raise StoreError(
            f"the source of {module} cannot be found: put the class into a module of an installed package"
        )
    found, waiting = {module: path}, [module]
    roots = {OWN, module.partition(".")[0]}
    while waiting:
        one = waiting.pop()
        for name in _names(one, found[one]):
            if name in found or name in SAYING or name.partition(".")[0] not in roots:
                continue
            if (path := _file(name)) is not None:
                found[name] = path
                waiting.append(name)
    return found


@cache
def _digest(module: str) -> str:
    sources = hashlib.sha256()
    for name, path in sorted(imported(module).items()):
        sources.update(f"{name}\n".encode())
        sources.update(path.read_bytes())
    return sources.hexdigest()


def _names(module: str, path: Path) -> Iterator[str]:
    """What could be a module among the names that a module's source imports."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            source = resolve_name("." * node.level + source, package) if node.level else source
            yield source
            yield from (f"{source}.{each.name}" for each in node.names)


def _file(module: str) -> Path | None:
    """A module's source file; None for a name that is no module. Only its top-level package is looked up."""
    top, *inner = module.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # of a script that is being run
        return None
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or ():
        place = Path(location, *inner)
        for path in (place.parent / f"{place.name}.py", place / "__init__.py"):
            if path.is_file():
                return path
    return None
