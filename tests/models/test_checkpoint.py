"""Tensors come out of a file by what it is; anything else is refused by what it is."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import check_stated_rate, read_checkpoint, read_tensors
from arc_eval.models.pickles import asked_for

Write = Callable[[Any, Path], object]


def zipped(content: Any, path: Path) -> None:
    torch.save(content, path)


def legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


TORCH: dict[str, Write] = {"zip": zipped, "before 1.6": legacy}
FORMATS: dict[str, Write] = {"safetensors": save_file, **TORCH}


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {
        "a.weight": torch.arange(600.0).view(20, 30),
        "b": torch.tensor([3, 1]),
        "c": torch.ones(4).half(),
    }


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
@pytest.mark.parametrize("form", FORMATS)
def test_content_decides_not_the_name(
    form: str, suffix: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / f"model{suffix}"
    FORMATS[form](tensors, path)
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("form", TORCH)
def test_a_pickle_does_not_pass_for_safetensors(
    form: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    TORCH[form](tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"is a torch file, not safetensors; call it model\.ckpt"):
        read_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize("form", TORCH)
def test_tensors_are_found_among_what_else_a_training_script_keeps(
    form: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    lightning = {
        "state_dict": tensors,
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "2.1.0",
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-5}]}],
        "lr_schedulers": [{"last_epoch": 3}],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(1.0), "dirpath": "x"}},
        "model_config": {"sample_rate": 44100},
    }
    TORCH[form](lightning, tmp_path / "last.ckpt")
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    assert checkpoint.tensors.keys() == tensors.keys()
    assert checkpoint.config == {"sample_rate": 44100}


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "bang")


class Command(Bomb):
    """Unpickling it runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("bomb", [Bomb, Command])
@pytest.mark.parametrize("form", TORCH)
@pytest.mark.parametrize("place", ["state_dict", "callbacks"])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(
    form: str, place: str, bomb: type[Bomb], tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    content = {"state_dict": dict(tensors), "callbacks": {}}
    content[place]["x"] = bomb(trace)  # type: ignore[assignment]
    TORCH[form](content, tmp_path / "model.ckpt")
    with pytest.raises(
        CheckpointError, match=r"asks for (pathlib\.|posix\.|nt\.|getattr).*none was run.*safetensors"
    ):
        read_checkpoint(tmp_path / "model.ckpt")
    assert not trace.exists()
    pickle.dump(bomb(trace), (tmp_path / "plain.pt").open("wb"), protocol=2)
    with pytest.raises(CheckpointError, match="none was run"):
        read_checkpoint(tmp_path / "plain.pt")
    assert not trace.exists()


PROTOCOLS = range(6)
WRITERS: dict[str, Callable[[Any, Path, int], object]] = {
    "bare": lambda content, path, protocol: path.write_bytes(pickle.dumps(content, protocol)),
    "zip": lambda content, path, protocol: torch.save(content, path, pickle_protocol=protocol),
    "before 1.6": lambda content, path, protocol: torch.save(
        content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False
    ),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", WRITERS)
def test_code_in_a_pickle_of_any_protocol_is_refused_by_name_and_not_run(
    form: str, protocol: int, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "model.ckpt"
    for bomb, name in ((Command(trace), r"(posix|nt)\.system"), (Bomb(trace), r"pathlib\.|getattr")):
        WRITERS[form]({"state_dict": {**tensors, "x": bomb}}, path, protocol)
        with pytest.raises(
            CheckpointError, match=rf"model\.ckpt: refused: .* asks for .*({name}).*none was run"
        ):
            read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_before_bytes_that_make_no_sense_is_refused_all_the_same(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(pickle.dumps(Command(tmp_path / "trace"), protocol) + b"\xff and more")
    with pytest.raises(CheckpointError, match=r"refused: .* asks for (posix|nt)\.system"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", ["zip", "before 1.6"])
def test_tensors_in_another_pickle_protocol_load_or_say_what_to_do(
    form: str, protocol: int, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    WRITERS[form]({"state_dict": tensors, "seen": {1, 2}, "shape": torch.Size([2])}, path, protocol)
    if protocol in (2, 3):
        assert read_tensors(path).keys() == tensors.keys()
    else:
        with pytest.raises(
            CheckpointError, match=r"is whole, but not in the pickle protocol .*save it again"
        ):
            read_checkpoint(path)


def test_a_name_whose_parts_are_recalled_is_found() -> None:
    """A pickle may remember a string and come back to it, so that the name stands nowhere in one piece."""
    direct = io.BytesIO(pickle.dumps(print, 4))
    recalled = b"\x80\x04\x8c\x08builtins\x94\x8c\x05print\x940" + b"0h\x00h\x01\x93."
    assert list(asked_for(direct)) == list(asked_for(io.BytesIO(recalled))) == ["builtins.print"]
    assert pickle.loads(recalled) is print


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_file_is_called_truncated_wherever_it_ends(
    form: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    FORMATS[form](tensors, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "model.ckpt"
    for tenths in range(1, 10):
        path.write_bytes(whole[: len(whole) * tenths // 10])
        with pytest.raises(CheckpointError, match=r"model\.ckpt: .*truncated") as caught:
            read_checkpoint(path)
        assert "download it again" in str(caught.value)


def other_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "no tensors")
    return content.getvalue()


FOREIGN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "a web page": (
        b"<!DOCTYPE html><html>401: please log in</html>",
        "neither a safetensors nor a torch file",
    ),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "another zip": (other_zip(), "cannot be read as a torch file"),
    "a list": (pickle.dumps([1, 2], protocol=2), "cannot be read as a torch file"),
    "noise": (bytes(range(200)), "neither a safetensors nor a torch file"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_named_for_what_it_is(kind: str, tmp_path: Path) -> None:
    content, message = FOREIGN[kind]
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"model\.ckpt: .*{message}"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds a list, not tensors by name"),
        ({"epoch": 3, "weights": torch.zeros(2)}, "'epoch' is a int"),
        ({"state_dict": [1]}, "holds no tensors by name: a list"),
        ({"state_dict": {"a": torch.zeros(2), "step": 7}}, "'step' is a int"),
    ],
)
def test_a_torch_file_of_other_things_says_what_it_holds(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "model.ckpt")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.ckpt: cannot be read: No such file"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_weights_of_another_sample_rate_are_refused_if_they_state_it() -> None:
    check_stated_rate({}, 44100, "model.ckpt")
    check_stated_rate({"sample_rate": 44100}, 44100, "model.ckpt")
    with pytest.raises(CheckpointError, match=r"trained at a sample rate of 48000 Hz, .* says 44100 Hz"):
        check_stated_rate({"sample_rate": 48000}, 44100, "model.ckpt")
