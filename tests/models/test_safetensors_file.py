"""What is written tensor by tensor is what the library writes at once."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save

from arc_eval.models.safetensors_file import write_safetensors


def test_a_file_is_the_library_s_byte_for_byte(tmp_path: Path) -> None:
    tensors = {
        "b": torch.randn(3, 5),
        "a.half": torch.randn(7).half(),
        "a.weight": torch.randn(2, 3, 4),
        "number": torch.tensor(2.5),
        "nothing": torch.empty(0, 3),
        "café": torch.ones(1),
    }
    write_safetensors(tmp_path / "x", tensors)
    assert (tmp_path / "x").read_bytes() == save(tensors)


def test_every_kind_of_tensor_reads_back(tmp_path: Path) -> None:
    tensors = {
        "transposed": torch.arange(6.0).view(2, 3).T,
        "brain": torch.randn(3).bfloat16(),
        "double": torch.randn(3).double(),
        "count": torch.tensor([1, 2]),
        "mask": torch.tensor([True, False]),
        "bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
    }
    write_safetensors(tmp_path / "x", tensors)
    found = load_file(tmp_path / "x")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name
