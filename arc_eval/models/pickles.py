"""What a pickle would ask for, read off its disassembly; nothing of it is run.

A pickle asks for a class or function by its name, in one piece or as two strings; a string may be
recalled from the memo. Torch wrote bare pickles before version 1.6 and writes a zip with one since.
"""

import pickle
import pickletools
import re
import struct
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ZIP = b"PK\x03\x04"
"""How a zip begins."""

LEGACY_PICKLES = 5
"""A magic number, a version, facts of the system, the content and the keys of its tensors' bytes."""

BROKEN = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, LookupError,
    TypeError, AttributeError, AssertionError, MemoryError, struct.error,
)  # fmt: skip
"""What reading a torch file can raise, depending on where its bytes stop making sense."""

HARMLESS = re.compile(
    r"torch\.(\w+Storage|storage\.\w+Storage|[a-z]+\d+\w*|bool|Size|device|Tensor|nn\.parameter\.Parameter)"
    r"|torch\.(_utils\._rebuild_\w+|_tensor\._rebuild_from_type_v2|serialization\._get_layout)"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode"
    r"|(builtins|__builtin__)\.(set|bytearray|complex|str|unicode|long)"
)
"""What tensors and plain data are made of. Only torch's own reader decides what may be used: this is
for telling a file that was refused from one that is damaged."""

UNKNOWN = "?"
"""In place of a part of a name that is computed as the pickle runs."""


@dataclass(frozen=True)
class Disassembly:
    """What was read before the end or the first byte that makes no sense."""

    names: tuple[str, ...]
    """Classes and functions that are asked for, in order, each once."""
    pickles: int
    """How many are whole."""
    error: BaseException | None
    """Why the rest could not be read."""

    @property
    def code(self) -> tuple[str, ...]:
        """The names that no file of weights needs."""
        return tuple(name for name in self.names if not HARMLESS.fullmatch(name))


def disassembled(path: Path) -> Disassembly:
    """The pickles of a torch file, in a zip or bare."""
    names: dict[str, None] = {}
    pickles = 0
    try:
        with ExitStack() as opened:
            file = _content(path, opened)
            while pickles < LEGACY_PICKLES and file.peek(1):  # type: ignore[attr-defined]
                for name in asked_for(file):
                    names[name] = None
                pickles += 1
    except BROKEN as error:
        return Disassembly(tuple(names), pickles, error)
    return Disassembly(tuple(names), pickles, None)


def _content(path: Path, opened: ExitStack) -> IO[bytes]:
    file = opened.enter_context(path.open("rb"))
    if not file.peek(4).startswith(ZIP):  # as torch decides: what follows a bare pickle may be a zip
        return file
    archive = opened.enter_context(zipfile.ZipFile(file))
    found = next(name for name in [*archive.namelist(), "data.pkl"] if name.endswith("data.pkl"))
    return opened.enter_context(archive.open(found))


def asked_for(file: IO[bytes]) -> Iterator[str]:
    """Dotted names of classes and functions in one pickle. Raises ValueError if it is none or cut short."""
    memo: dict[int, str] = {}
    last = deque([UNKNOWN, UNKNOWN], maxlen=2)  # the strings that a name in two pieces is made of
    for opcode, argument, _ in pickletools.genops(file):
        match opcode.name:
            case "GLOBAL" | "INST":
                yield str(argument).replace(" ", ".")
                last.append(UNKNOWN)
            case "STACK_GLOBAL":
                yield ".".join(last)
                last.append(UNKNOWN)
            case "MEMOIZE":
                memo[len(memo)] = last[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[int(str(argument))] = last[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                last.append(memo.get(int(str(argument)), UNKNOWN))
            case "PROTO" | "FRAME":
                pass  # they leave the stack as it is
            case _:
                last.append(argument if isinstance(argument, str) else UNKNOWN)
