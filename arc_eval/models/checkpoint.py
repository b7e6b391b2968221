"""The tensors in a file of weights, read by its content; nothing in it is ever run.

safetensors files hold tensors and nothing else. Torch files (`.ckpt`, `.pt`, `.pth`, `.bin`) are pickles,
which can hold code: only tensors and plain data are rebuilt from them (`weights_only`), and a file that
asks for more is refused. Tensors stay on the file's pages (`mmap`) until somebody writes to them.
"""

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.pickles import BROKEN, ZIP, disassembled

AGAIN = "copy or download it again"
SHOWN = 4  # names to list of what a pickle asks for
WANTED = re.compile(r"GLOBAL ([\w.<>]+)")
"""How torch's restricted reader names the class or function that a pickle asks for."""
SAID = re.compile(r"WeightsUnpickler error:\s*(.+)")
"""How it begins to say what it stumbled over."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by the names that the file gives them; `config` is the configuration it was trained with.

    Official training scripts write that into their checkpoints; other files leave it empty.
    """

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a file of weights onto the CPU.

    Raises CheckpointError if it is unreadable, empty, truncated, of another kind, or a pickle with code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not head:
        raise CheckpointError(f"{path}: is empty; {AGAIN}")
    return _reader(head)(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors alone. Raises CheckpointError as `read_checkpoint` does."""
    return dict(read_checkpoint(path).tensors)


def check_stated_rate(trained: Mapping[str, Any], sample_rate: int, where: str) -> None:
    """Raises CheckpointError if weights state another sample rate than the configuration they are read with.

    trained: a checkpoint's `config`. Released weights state none, and no tensor's shape depends on it.
    """
    stated = trained.get("sample_rate", sample_rate)
    if stated != sample_rate:
        raise CheckpointError(
            f"{where}: was trained at a sample rate of {stated} Hz, but its configuration here says "
            f"{sample_rate} Hz; use the configuration that belongs to these weights"
        )


def _reader(head: bytes) -> Callable[[Path], Checkpoint]:
    """By the first bytes: the name's ending says what somebody meant, they say what it is."""
    known: Mapping[bytes, Callable[[Path], Checkpoint]] = {
        ZIP: _zipped,
        b"\x80": _pickled,
        b"version https://git-lfs": _pointer,
    }
    if head[8:9] == b"{":  # after eight bytes that say how long the JSON header is
        return _safetensors
    return next((reader for start, reader in known.items() if head.startswith(start)), _unmarked)


def _safetensors(path: Path) -> Checkpoint:
    try:
        return Checkpoint(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors, it may be truncated ({error}); {AGAIN}"
        ) from error


def _zipped(path: Path) -> Checkpoint:
    try:
        whole = zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: is truncated: the end of the torch file is missing; {AGAIN}")
    return _torch(path, mmap=True)


def _pickled(path: Path) -> Checkpoint:
    """Before version 1.6 torch wrote bare pickles and then bytes, which cannot be mapped into memory."""
    # Disassembled first: to torch's reader a name cut short looks like one that is not allowed.
    found = disassembled(path)
    if found.code and found.error:
        raise CheckpointError(f"{path}: {_refusal(*found.code)}")
    if found.error:
        raise CheckpointError(
            f"{path}: is truncated or no torch file ({found.error}); {AGAIN}"
        ) from found.error
    return _torch(path, mmap=False)


def _unmarked(path: Path) -> Checkpoint:
    """Pickles of the protocols 0 and 1 begin with no mark: they are what can be disassembled as such."""
    return (_pickled if disassembled(path).pickles else _foreign)(path)


def _pointer(path: Path) -> Checkpoint:
    raise CheckpointError(
        f"{path}: is a Git LFS pointer, not the weights; run `git lfs pull` where it came from"
    )


def _foreign(path: Path) -> Checkpoint:
    raise CheckpointError(
        f"{path}: is neither a safetensors nor a torch file; is it a web page or another format, "
        f"saved under this name? If it was downloaded, {AGAIN}"
    )


def _torch(path: Path, *, mmap: bool) -> Checkpoint:
    if path.suffix == ".safetensors":
        # torch.load would go by the name, and whoever named it so may count on a file without code.
        raise CheckpointError(f"{path}: is a torch file, not safetensors; call it {path.stem}.ckpt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except BROKEN as error:
        raise CheckpointError(f"{path}: {_reason(path, error)}") from error
    return _named(path, content)


def _reason(path: Path, error: BaseException) -> str:
    wanted = WANTED.search(str(error))
    # The reader names the first, or stops before it at an instruction that it does not know.
    found = disassembled(path)
    code = dict.fromkeys((*([wanted[1]] if wanted else []), *found.code))
    if code:
        return _refusal(*code)
    said = SAID.search(str(error))
    first = said[1] if said else (str(error).strip().splitlines() or ["it ends too early"])[0]
    if "Unsupported operand" in first and not found.error:
        return (
            "is whole, but not in the pickle protocol that can be read without running code; "
            "save it again with torch.save and no `pickle_protocol`, or as .safetensors"
        )
    return f"cannot be read as a torch file, it may be truncated ({type(error).__name__}: {first}); {AGAIN}"


def _refusal(*names: str) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return (
        f"refused: the file is a pickle that asks for {', '.join(names[:SHOWN])}{more}, which could run any "
        "code; none was run. Ask for the weights as .safetensors, or convert them on a machine that may "
        "trust this file (safetensors.torch.save_file of its state_dict)"
    )


def _named(path: Path, content: object) -> Checkpoint:
    """A file's tensors lie in its `state_dict`, beside optimiser and counters, or are all that there is."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    tensors = content.get("state_dict", content)
    others = _others(tensors)
    if others:
        raise CheckpointError(
            f"{path}: holds no tensors by name: {others}; they are looked for in `state_dict`"
        )
    config = content.get("model_config")
    return Checkpoint(tensors, config if isinstance(config, Mapping) else {})


def _others(tensors: object) -> str:
    """What stands where tensors should; empty if there are tensors alone."""
    if not isinstance(tensors, Mapping):
        return f"a {type(tensors).__name__}"
    wrong = {name: value for name, value in tensors.items() if not isinstance(value, Tensor)}
    return ", ".join(f"{name!r} is a {type(value).__name__}" for name, value in list(wrong.items())[:4])
