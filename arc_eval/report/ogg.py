"""Clips as small Ogg Vorbis files for the players of a page. The same clip gives the same bytes."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

RATES = (8000, 48000)
"""Sample rates that every browser plays; others are resampled to the nearer end."""

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def vorbis(
    samples: NDArray[np.float32],  # float32[time, channel]
    sample_rate: int,
) -> bytes:
    """An Ogg Vorbis file of a mono or stereo clip (more channels are averaged), clipped to [-1, 1]."""
    import soundfile
    import soxr

    rate = min(max(sample_rate, RATES[0]), RATES[1])
    sound = samples if samples.shape[1] <= 2 else samples.mean(axis=1, keepdims=True)
    if rate != sample_rate:
        sound = soxr.resample(sound, sample_rate, rate, quality="HQ")
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(np.nan_to_num(sound), -1, 1), rate, format="OGG", subtype="VORBIS")
    return with_serial(stream.getvalue(), 1)


def with_serial(file: bytes, serial: int) -> bytes:
    """The same Ogg file under a given stream number: encoders draw it at random.

    Source: RFC 3533, the layout of a page.
    """
    pages = []
    start = 0
    while start < len(file):
        segments = file[start + 26]
        table = file[start + 27 : start + 27 + segments]
        end = start + 27 + segments + sum(table)
        page = bytearray(file[start:end])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", _checksum(bytes(page)))
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


def _checksum(page: bytes) -> int:
    """Ogg's CRC: zlib's polynomial, most significant bit first, without its inversions."""
    reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
