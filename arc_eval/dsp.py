"""Audio files, rates, channels and spectra. Samples are float32[channel, time], full scale at 1.

What cannot be measured is refused here, with the name of the file. Silence is not refused: it is a
finding, and belongs to the health extractor.
"""

import hashlib
import io
import math
import os
import re
import secrets
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arc_eval.errors import AudioError

SUFFIXES = {".flac": ("FLAC", "PCM_24"), ".wav": ("WAV", "FLOAT")}
"""What can be written: format and sample type by suffix."""

UNSTATED_SIZE = 0x7FFFF000
"""WAV files that were streamed give an impossible size, because it was not known: nothing is missing."""

MP3_FRAME = 1152
"""An MP3 header may count a frame more than the decoder gives."""


def read_audio(
    path: Path, *, sample_rate: int | None = None, channels: int | None = None
) -> tuple[Tensor, int]:
    """float32[channel, time] and its sample rate, from wav, flac, ogg, mp3 or what else libsndfile reads.

    sample_rate and channels, if given, are what the samples are converted to. Raises AudioError for a
    file that is missing, empty, not audio, corrupt, shorter than its header says, or holds NaN or
    infinity, and for more than two channels where one or two are asked for.
    """
    samples, rate = _decoded(path)
    broken = int((~samples.isfinite()).sum())
    if broken:
        raise AudioError(
            f"{path}: {broken} of {samples.numel()} samples are NaN or infinite; "
            "render it again, or take the file out of the list"
        )
    if channels is not None:
        try:
            samples = to_channels(samples, channels)
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from None
    if sample_rate is not None:
        samples, rate = resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def _decoded(path: Path) -> tuple[Tensor, int]:
    import soundfile  # here, so that a machine which only trains needs no audio library

    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise AudioError(f"{path}: the file is empty (0 bytes); copy or render it again")
            with soundfile.SoundFile(file) as sound:
                promised, rate, header = sound.frames, sound.samplerate, sound.extra_info
                lenient = MP3_FRAME if sound.format == "MP3" else 0
                frames = sound.read(dtype="float32", always_2d=True)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; is the path right?") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        # The text of the second is about raw files, whose format soundfile would want to be told.
        reason = getattr(error, "error_string", "format not recognised").strip().removeprefix("Error : ")
        raise AudioError(
            f"{path}: corrupt, truncated or not an audio file ({reason}); copy or render it again"
        ) from error
    if len(frames) == 0:
        raise AudioError(f"{path}: holds no audio (0 frames); render it again, or take it out of the list")
    missing = max(promised - len(frames) - lenient, _missing_bytes(header))
    if missing > 0:
        raise AudioError(
            f"{path}: truncated: its header promises more audio than the {len(frames)} frames it holds; "
            "copy or render it again"
        )
    return torch.from_numpy(np.ascontiguousarray(frames.T)), rate


def _missing_bytes(header: str) -> int:
    """Bytes of samples that a WAV header promises beyond the end of the file, as libsndfile noticed."""
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", header, re.MULTILINE)
    if found is None or int(found[1]) >= UNSTATED_SIZE:
        return 0
    return int(found[1]) - int(found[2])


def write_audio(path: Path, samples: Tensor, sample_rate: int) -> None:
    """Writes float[channel, time] as 24-bit FLAC (values beyond full scale are clipped) or 32-bit float WAV.

    Equal samples make equal files, of which another process sees the whole or nothing. Raises AudioError
    for another suffix, for samples that a file cannot hold, and if the disk is full or refuses.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise AudioError(f"{path}: cannot write {path.suffix or 'no'} format; known: {', '.join(SUFFIXES)}")
    if samples.ndim != 2 or samples.numel() == 0:
        raise AudioError(f"{path}: audio must be [channel, time] and not empty, not {list(samples.shape)}")
    if not samples.isfinite().all():
        raise AudioError(f"{path}: samples that are NaN or infinite cannot be written")
    import soundfile

    format_, subtype = SUFFIXES[path.suffix.lower()]
    content = io.BytesIO()
    frames = samples.detach().to("cpu", torch.float32).T.numpy()
    try:
        soundfile.write(content, frames, sample_rate, subtype, format=format_)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: {format_} cannot hold {samples.shape[0]} channels at {sample_rate} Hz: {error}"
        ) from error
    _forget_the_time(content.getbuffer())
    partial = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        try:
            partial.write_bytes(content.getbuffer())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise AudioError(
            f"{path}: cannot be written: {error.strerror or error}; make room or choose another folder"
        ) from error


def _forget_the_time(file: memoryview) -> None:
    """libsndfile notes in a WAV's PEAK chunk when it was written: four bytes after its size and version."""
    place = 12 if bytes(file[:4]) == b"RIFF" else len(file)
    while place < len(file):
        name, size = struct.unpack_from("<4sI", file, place)
        if name == b"PEAK":
            file[place + 12 : place + 16] = bytes(4)
        place += 8 + size + size % 2  # chunks begin at even places


def resample(samples: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """float32[channel, time] at another rate, by soxr at its HQ setting; at least one sample long."""
    if source_rate <= 0 or target_rate <= 0:
        raise AudioError(f"sample rates must be positive, not {source_rate} and {target_rate}")
    if source_rate == target_rate:
        return samples
    import soxr

    frames = np.ascontiguousarray(samples.T.numpy(), np.float32)
    converted = torch.from_numpy(soxr.resample(frames, source_rate, target_rate, quality="HQ")).T
    # soxr may give one sample more or less than the ratio says, and none for a very short clip.
    length = max(1, round(samples.shape[-1] * target_rate / source_rate))
    missing = max(0, length - converted.shape[-1])
    return torch.nn.functional.pad(converted, (0, missing))[:, :length].contiguous()


def to_channels(samples: Tensor, channels: int) -> Tensor:
    """Mono is copied to every channel, anything is averaged to mono; nothing else is guessed.

    samples: float[channel, time]. Raises AudioError for a change between larger channel counts.
    """
    have = samples.shape[0]
    if channels == have:
        return samples
    if have == 1 and channels > 1:
        return samples.repeat(channels, 1)
    if channels == 1 and have > 1:
        return samples.mean(0, keepdim=True)
    raise AudioError(f"{have} channels cannot be turned into {channels}; mix it down to mono or stereo first")


def samples_digest(samples: Tensor, sample_rate: int) -> str:
    """sha256 of float32[channel, time], its shape and rate: the same for the same sound in any format."""
    digest = hashlib.sha256(f"{sample_rate} {list(samples.shape)} float32 little-endian\n".encode())
    digest.update(np.ascontiguousarray(samples.detach().cpu().numpy(), "<f4").tobytes())
    return digest.hexdigest()


def stft_power(samples: Tensor, n_fft: int, hop: int) -> Tensor:
    """float32[..., bin, frame]: squared magnitude of a periodic Hann STFT, frames centred, ends zero-padded.

    samples: float32[..., time]. Frame i is centred on sample i * hop; there are time // hop + 1.
    """
    flat = samples.reshape(-1, samples.shape[-1])
    window = torch.hann_window(n_fft, device=samples.device)
    spectrum = torch.stft(
        flat, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return power.reshape(*samples.shape[:-1], *power.shape[-2:])


def mel_filterbank(sample_rate: int, n_fft: int, mels: int, low: float, high: float) -> Tensor:
    """float32[mel, bin]: triangles of height 1, equally spaced on the HTK mel scale from low to high hertz.

    mel(f) = 2595 log10(1 + f / 700). Raises ValueError if the bands do not fit the rate, or are so
    narrow that one of them holds no bin.
    """
    if not 0 <= low < high <= sample_rate / 2:
        raise ValueError(f"mel bands from {low} to {high} Hz do not fit a rate of {sample_rate} Hz")
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    lowest, highest = (2595 * math.log10(1 + frequency / 700) for frequency in (low, high))
    edges = 700 * (10 ** (np.linspace(lowest, highest, mels + 2) / 2595) - 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    if not triangles.any(1).all():
        raise ValueError(
            f"{mels} mel bands are too many for {n_fft} points at {sample_rate} Hz: one is empty"
        )
    return torch.from_numpy(triangles).to(torch.float32)
