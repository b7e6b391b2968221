"""The package keeps the shape it was designed with: who imports whom, who prints, how long a module is."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "arc_eval"
MODULES = {path.relative_to(PACKAGE).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}

BASE = {"errors", "records"}
FOUNDATION = BASE | {
    "contracts",
    "canaries",
    "dsp",
    "stats",
    "influence",
    "seeding",
    "brownian",
    "flow",
    "store",
    "code",
    "lock",
    "escape",
    "offers",
    "summaries",
    "models",
}
MIDDLE = FOUNDATION | {"samplers", "losses", "gate", "report"}
PLUGINS = {"generators", "extractors", "metrics", "targets", "engine", "data"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "records": {"errors"},
    # A contract is written in the words of the records; the foundation knows nothing above itself.
    "contracts": BASE,
    "canaries": BASE | {"contracts"},
    "dsp": BASE,
    "stats": BASE,
    "influence": BASE | {"stats"},
    "seeding": BASE,
    "brownian": BASE | {"seeding"},
    "flow": BASE,
    "store": BASE,
    "code": BASE,
    "lock": BASE,
    "escape": BASE,
    "offers": BASE,
    "summaries": BASE | {"store"},
    "models": BASE | {"dsp", "flow", "seeding"},
    # Samplers and losses are handed callables: that is what makes them usable with any network.
    "samplers": BASE | {"flow"},
    "losses": BASE | {"flow"},
    # Reading and judging a Run needs neither weights nor a suite, on any machine, years later.
    "gate": BASE | {"contracts", "stats", "influence", "escape"},
    "report": BASE | {"contracts", "stats", "escape"},
    **{plugin: MIDDLE for plugin in PLUGINS},
    # Recipes name their data by `kind`, so they are read through the registry like a suite.
    "training": BASE
    | {"contracts", "models", "samplers", "losses", "flow", "seeding", "store", "lock", "data", "registry"},
    "registry": BASE | {"contracts", "gate"},
    "suite": BASE | {"contracts", "gate", "registry", "store"},
    "pipeline": FOUNDATION | {"registry", "suite"},
}
"""Top-level module or folder to the others that it may import; `cli` may import anything."""

MATHEMATICS = ("models", "samplers", "losses")
HEAVY = {"pandas", "altair", "duckdb", "transformers", "rich", "jinja2", "vl_convert", "ray", "scipy.stats"}


def part(module: Path) -> str:
    """The top-level module or folder that a module belongs to."""
    return module.parts[0]


def tree(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Full name and line of every import inside a node, those within functions included."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are written out in full"
            if child.module == "arc_eval":
                yield from ((f"arc_eval.{alias.name}", child.lineno) for alias in child.names)
            else:
                yield child.module or "", child.lineno


def at_import(path: Path) -> Iterator[tuple[str, int]]:
    """The imports that run when the module is imported: not those in functions or for types alone."""
    for node in tree(path).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)


def ours(name: str) -> str | None:
    """The part of this package that a full module name lies in, or None for other packages."""
    head, *rest = name.split(".")
    return rest[0] if head == "arc_eval" and rest else None


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


def test_every_part_imports_only_what_its_layer_allows():
    wrong = [
        f"{where(path, line)} imports {name}"
        for module, path in MODULES.items()
        if part(module) not in ("cli", "__init__")
        for name, line in imported(tree(path))
        if ours(name) not in {None, "__version__", part(module)} | MAY_IMPORT[part(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_plug_in_package_reaches_into_another():
    wrong = [
        f"{where(path, line)} imports {name}"
        for module, path in MODULES.items()
        if part(module) in PLUGINS
        for name, line in imported(tree(path))
        if ours(name) in PLUGINS - {part(module)}
    ]
    assert not wrong, "\n".join(wrong)


def test_records_and_errors_are_imported_with_torch_and_numpy_alone():
    allowed = {"arc_eval", "torch", "numpy", *sys.stdlib_module_names}
    wrong = [
        f"{where(path, line)} imports {name}"
        for module, path in MODULES.items()
        if part(module) in BASE
        for name, line in at_import(path)
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_the_mathematics_runs_on_a_bare_gpu_machine():
    """Plus pydantic, in which `model_config.json` is read."""
    allowed = {"arc_eval", "torch", "numpy", "safetensors", "pydantic", *sys.stdlib_module_names}
    wrong = [
        f"{where(path, line)} imports {name}"
        for module, path in MODULES.items()
        if part(module) in MATHEMATICS
        for name, line in at_import(path)
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_imported_where_they_are_used():
    wrong = [
        f"{where(path, line)} imports {name} at module import"
        for path in MODULES.values()
        for name, line in at_import(path)
        if name.split(".")[0] in HEAVY or name in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints_configures_logging_or_exits():
    # os._exit is not among them: a worker process uses it when its parent is gone.
    forbidden = {"print", "sys.exit", "exit", "quit", "logging.basicConfig", "typer.echo"}
    wrong = [
        f"{where(path, node.lineno)} calls {ast.unparse(node.func)}"
        for module, path in MODULES.items()
        if part(module) != "cli"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in forbidden
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_is_longer_than_250_lines():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in MODULES.values()}
    wrong = [f"{path.relative_to(PACKAGE.parent)}: {lines}" for path, lines in lengths.items() if lines > 250]
    assert not wrong, "\n".join(wrong)


def test_a_choice_is_an_object_not_a_chain_on_its_kind():
    wrong = [
        f"{where(path, node.lineno)}: {ast.unparse(node)}"
        for path in MODULES.values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).split(".")[-1].strip("'\"[]") == "kind"
        and any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in node.comparators)
    ]
    assert not wrong, "\n".join(wrong)


def test_errors_are_caught_by_name_save_at_the_two_doors():
    """A failing system must not end a Run, and the command line must not show a bare traceback."""
    doors = {"cli": 1, "pipeline": 1}
    found: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                found.setdefault(part(module), []).append(where(path, node.lineno))
    wrong = {name: places for name, places in found.items() if len(places) > doors.get(name, 0)}
    assert not wrong, wrong


def _catches_all(handler: ast.ExceptHandler) -> bool:
    names = {ast.unparse(node) for node in ast.walk(handler.type)} if handler.type else {"BaseException"}
    reraises = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    return bool(names & {"Exception", "BaseException"}) and not reraises


def test_every_part_of_the_package_has_a_place_in_the_table():
    assert {part(module) for module in MODULES} - {"cli", "__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("name", ["torchvision", "torchaudio"])
def test_a_cuda_built_companion_of_torch_is_absent_or_importable(name):
    """A CUDA-built torchvision beside a CPU torch breaks every import of transformers' models."""
    if importlib.util.find_spec(name) is not None:
        importlib.import_module(name)
