"""Every public name says what it is; functions on tensors say their shapes."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "arc_eval"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name == "__init__.py" or path.stem[0] != "_")

Function = ast.FunctionDef | ast.AsyncFunctionDef

SHAPED = ("samplers", "losses", "metrics", "dsp", "stats")
"""Parts whose functions take tensors: shapes belong in the docstring or beside the argument."""

WITHOUT_SHAPES = {
    "losses/times.py": "every function there is a `Quantile`, whose shapes stand at the type",
    "samplers/guidance.py": "makes a `Velocity` from a callable; the shapes stand at that type",
}
"""Module to the reason why its functions repeat no shapes."""

WITHOUT_DOCSTRINGS = {
    "forward": "overrides torch.nn.Module.forward; the class says what goes in and comes out",
    "name": "fulfils contracts.Metric.name, which says how results are named",
}
"""Methods whose words stand elsewhere, and where. No other public method goes without its own."""


@dataclass(frozen=True)
class Public:
    """A public class, function or method and where it stands."""

    path: Path
    node: ast.ClassDef | Function
    owner: str = ""

    def __str__(self) -> str:
        place = f"{self.path.relative_to(PACKAGE.parent)}:{self.node.lineno}"
        return f"{place}: {self.owner}{self.node.name}"


def public(path: Path) -> Iterator[Public]:
    """The public names that a module defines, with the methods of its public classes."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        yield Public(path, node)
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, Function) and not child.name.startswith("_"):
                    yield Public(path, child, f"{node.name}.")


def explains_itself(name: Public) -> bool:
    """Whether it has a docstring, or is a method whose words stand elsewhere."""
    return bool(ast.get_docstring(name.node)) or bool(name.owner and name.node.name in WITHOUT_DOCSTRINGS)


def comments_of_the_signature(name: Public) -> str:
    """What the comments between `def` and the first statement say, where STYLE puts shapes."""
    lines = name.path.read_text("utf-8").splitlines()[name.node.lineno - 1 : name.node.body[0].lineno]
    text = "\n".join(lines) + "\n"
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found.append(token.string)
    except tokenize.TokenError:
        pass  # the cut ends inside the docstring; the signature is already read
    return " ".join(found)


def takes_tensors(node: Function) -> bool:
    """Whether an argument or the result is annotated as a tensor or an array."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments] + [node.returns]
    return any(word in ast.unparse(a) for a in annotations if a for word in ("Tensor", "ndarray", "NDArray"))


def test_every_module_says_what_it_holds():
    missing = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not missing, "\n".join(missing)


def test_every_public_class_function_and_method_has_a_docstring():
    missing = [str(name) for path in MODULES for name in public(path) if not explains_itself(name)]
    assert not missing, "\n".join(missing)


def test_no_exemption_is_left_behind():
    methods = [name for path in MODULES for name in public(path) if name.owner]
    silent = {name.node.name for name in methods if not ast.get_docstring(name.node)}
    assert silent == WITHOUT_DOCSTRINGS.keys()


def test_functions_on_tensors_state_their_shapes():
    missing = [
        str(name)
        for path in MODULES
        if path.relative_to(PACKAGE).with_suffix("").parts[0] in SHAPED
        for name in public(path)
        if isinstance(name.node, Function)
        and not name.owner
        and takes_tensors(name.node)
        and path.relative_to(PACKAGE).as_posix() not in WITHOUT_SHAPES
        and "[" not in (ast.get_docstring(name.node) or "") + comments_of_the_signature(name)
    ]
    assert not missing, "\n".join(missing)
