"""A picture of palette indices as PNG bytes; no imaging library is needed for that."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def png(
    indices: NDArray[np.uint8],  # uint8[row, column]
    palette: NDArray[np.uint8],  # uint8[colour, 3], red green blue
) -> bytes:
    """The PNG file of an indexed picture, first row on top. Source: PNG specification, second edition."""
    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # Each row is preceded by its filter type; 0 leaves the row as it is, best for palettes.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1).tobytes()
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
