"""Label probabilities as stable-audio-metrics publishes them, read without running anything of the pickle.

A dict of prompt ids (int or str) to float32[class] tensors, each a legacy torch stream inside the pickle.
Opcodes are followed on plain data; a call is noted, never made, and only those that a tensor is rebuilt
by are understood. Whatever else such a file may ask for is refused by its name.
"""

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arc_eval.errors import DataError
from arc_eval.models.pickles import BROKEN, LEGACY_PICKLES, asked_for

REBUILD = "torch._utils._rebuild_tensor_v2"
STORAGE = "torch.storage._load_from_bytes"
UNDERSTOOD = (REBUILD, STORAGE, "collections.OrderedDict")
MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a legacy torch stream begins."""

_MARK = object()


@dataclass(frozen=True)
class _Named:
    """A function that the pickle asks for, and, once it is called, with what."""

    name: str
    arguments: tuple[Any, ...] | None = None


def read_probabilities(path: Path) -> dict[str, Tensor]:
    """Prompt id to probabilities, float32[class] that sum to 1, in the file's order. Raises DataError."""
    try:
        content = path.read_bytes()
        found = _followed(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except BROKEN as error:
        raise DataError(f"{path}: not a pickle of label probabilities: {error}") from error
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: holds {type(found).__name__}, where a dict of ids to tensors is needed")
    try:
        tensors = {str(key): _tensor(value) for key, value in found.items()}
    except BROKEN as error:
        raise DataError(f"{path}: a value is no float32 tensor: {error}") from error
    if len(tensors) != len(found) or len({len(tensor) for tensor in tensors.values()}) != 1:
        raise DataError(f"{path}: ids must differ, and all have the same number of classes")
    wrong = [
        key for key, p in tensors.items() if not (bool((p >= 0).all()) and abs(float(p.sum()) - 1) < 1e-3)
    ]
    if wrong:
        raise DataError(f"{path}: {len(wrong)} vectors are not probabilities: {wrong[0]}, ...")
    return tensors


def _followed(content: bytes) -> Any:
    """What the pickle describes, calls left as `_Named`. Raises ValueError for what is not understood."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, position in pickletools.genops(content):
        if opcode.name == "STOP":
            return stack.pop()
        if opcode.name in _CONSTANTS:
            stack.append(_CONSTANTS[opcode.name](argument))
        elif opcode.name in _PUT:
            memo[len(memo) if argument is None else int(str(argument))] = stack[-1]
        elif opcode.name in _GET:
            stack.append(memo[int(str(argument))])
        elif opcode.name in _STEPS:
            _STEPS[opcode.name](stack)
        elif opcode.name not in ("PROTO", "FRAME"):
            raise ValueError(f"byte {position}: {opcode.name} has no place in a dict of tensors")
    raise ValueError("it has no end")


def _asked(name: str) -> _Named:
    if name not in UNDERSTOOD:
        raise ValueError(f"it asks for {name}, which no tensor needs; it was not run")
    return _Named(name)


def _global(stack: list[Any]) -> None:
    name, module = stack.pop(), stack.pop()
    stack.append(_asked(f"{module}.{name}"))


def _called(stack: list[Any]) -> None:
    arguments, function = stack.pop(), stack.pop()
    if not isinstance(function, _Named) or function.arguments is not None or not isinstance(arguments, tuple):
        raise ValueError("it calls what is no function")
    stack.append(_Named(function.name, arguments))


def _since_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1 - stack[::-1].index(_MARK)
    found = stack[place + 1 :]
    del stack[place:]
    return found


def _tuple(size: int) -> Callable[[list[Any]], None]:
    def take(stack: list[Any]) -> None:
        found = tuple(stack[-size:])
        del stack[-size:]
        stack.append(found)

    return take


def _set(stack: list[Any], pairs: list[Any]) -> None:
    target = stack[-1]
    if not isinstance(target, dict) or len(pairs) % 2:
        raise ValueError("it fills what is no dict")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, int | str) or key in target:
            raise ValueError(f"id {key!r} is no number or text, or stands twice")
        target[key] = value


def _set_one(stack: list[Any]) -> None:
    pair = [stack.pop(), stack.pop()][::-1]
    _set(stack, pair)


def _set_marked(stack: list[Any]) -> None:
    pairs = _since_mark(stack)
    _set(stack, pairs)


_CONSTANTS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG"), int),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), str),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), bytes),
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "NONE": lambda _: None,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    "MARK": lambda _: _MARK,
    "GLOBAL": lambda argument: _asked(argument.replace(" ", ".")),
}
_PUT, _GET = ("MEMOIZE", "BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
_STEPS: Mapping[str, Callable[[list[Any]], None]] = {
    "STACK_GLOBAL": _global,
    "REDUCE": _called,
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "SETITEM": _set_one,
    "SETITEMS": _set_marked,
}


def _tensor(value: Any) -> Tensor:
    """The vector that a noted call of REBUILD describes, float32[class]."""
    if not isinstance(value, _Named) or value.name != REBUILD or value.arguments is None:
        raise ValueError(f"{type(value).__name__} where a tensor should be")
    storage, offset, size, stride, *_ = value.arguments
    if not isinstance(storage, _Named) or storage.name != STORAGE or not storage.arguments:
        raise ValueError("a tensor without its numbers")
    if len(size) != 1 or tuple(stride) != (1,) or not offset >= 0:
        raise ValueError(f"a tensor of shape {size}, stride {stride}, where a vector should be")
    numbers = _stored(storage.arguments[0])[offset : offset + size[0]]
    if len(numbers) != size[0]:
        raise ValueError(f"{len(numbers)} numbers of {size[0]}")
    return torch.from_numpy(numbers.astype(np.float32))


def _stored(stream: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The float32 numbers of a legacy torch stream: five pickles, a count, the bytes."""
    if not stream.startswith(MAGIC):
        raise ValueError("not a legacy torch stream")
    file = io.BytesIO(stream)
    names = [name for _ in range(LEGACY_PICKLES) for name in asked_for(file)]
    if names != ["torch.FloatStorage"]:
        raise ValueError(f"it asks for {', '.join(names) or 'nothing'}, not for float32 numbers")
    (count,) = struct.unpack("<q", file.read(8))
    numbers = file.read()
    if count < 0 or len(numbers) != 4 * count:
        raise ValueError(f"{len(numbers)} bytes for {count} numbers")
    return np.frombuffer(numbers, "<f4")
