"""Writing safetensors tensor by tensor, so that a large model is never in memory twice.

The library's own writers make the whole file in memory, and hide what the system says of a full disk.
Format: eight bytes of header length, a JSON header padded with spaces to a multiple of eight, the data.
"""

import json
import struct
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes named CPU tensors of any shape. Raises OSError if the disk refuses."""
    # Wide elements first keeps each tensor aligned.
    ordered = dict(sorted(tensors.items(), key=lambda entry: (-entry[1].element_size(), entry[0])))
    ends = list(accumulate((tensor.nbytes for tensor in ordered.values()), initial=0))
    header = {
        name: {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        for (name, tensor), start, end in zip(ordered.items(), ends, ends[1:], strict=False)
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in ordered.values():
            file.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
