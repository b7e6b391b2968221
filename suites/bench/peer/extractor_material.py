"""What both sides hear and are made of: ten-second files, and arc_eval's random weights in official names."""

from pathlib import Path

import numpy as np
import soundfile
from safetensors.torch import save_file
from torch import Tensor

from arc_eval.dsp import mel_filterbank
from arc_eval.models.laion_clap import random_laion_clap
from arc_eval.models.openl3_weights import random_openl3
from arc_eval.models.passt_mel import kaldi_bank
from arc_eval.models.passt_weights import load_passt
from arc_eval.models.slaney import slaney_filterbank
from arc_eval.models.tensorflow_hann import tensorflow_hann

SECONDS = 10
RANDOM_PASST = "random/passt-s-swa-p16-128-ap476"


def clips(count: int, rate: int, folder: Path) -> list[Path]:
    """WAV files of pink noise with a few tones that come and go; every second one mono."""
    return [_clip(number, rate, folder / f"clip-{number}-{rate}.wav") for number in range(count)]


def _clip(number: int, rate: int, path: Path) -> Path:
    draw = np.random.default_rng(number)
    channels, length = 1 + number % 2, rate * SECONDS
    time = np.arange(length) / rate
    spectrum = np.fft.rfft(draw.standard_normal((channels, length)))
    noise = np.fft.irfft(spectrum / np.sqrt(1 + np.arange(spectrum.shape[1])), length)
    tones = sum(
        draw.uniform(0, 1, (channels, 1))
        * np.sin(2 * np.pi * draw.uniform(60, 9000) * time)
        * np.exp(-((time - draw.uniform(0, SECONDS)) ** 2) / draw.uniform(0.05, 4))
        for _ in range(6)
    )
    samples = noise / np.abs(noise).max() + tones
    soundfile.write(path, (0.5 * samples / np.abs(samples).max()).T, rate, subtype="PCM_16")
    return path


def weights(kind: str, folder: Path) -> Path:
    """arc_eval's random network, named as the official one, with its filter bank beside it."""
    tensors = {"openl3": _openl3, "passt": _passt, "clap": _clap}[kind]()
    path = folder / f"{kind}.safetensors"
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def _openl3() -> dict[str, Tensor]:
    bands = slaney_filterbank(48000, 2048, 256, 0.0, 24000.0).float()
    found = {"bands": bands, "hann": tensorflow_hann(2048)}
    for name, tensor in random_openl3("mel256", 512).state_dict().items():
        part, place, what = name.split(".")
        layer = f"{'batch_normalization' if part == 'norms' else 'conv2d'}_{int(place) + 1}"
        found[f"{'audio_embedding_layer' if layer == 'conv2d_8' else layer}.{what}"] = tensor
    return found


def _passt() -> dict[str, Tensor]:
    return {**load_passt(RANDOM_PASST).network.state_dict(), "bands": kaldi_bank()}


def _clap() -> dict[str, Tensor]:
    tensors = {
        name: tensor
        for name, tensor in random_laion_clap().state_dict().items()
        if name.startswith(("audio_branch.", "audio_projection."))
    }
    return {**tensors, "bands": mel_filterbank(48000, 1024, 64, 50.0, 14000.0).float()}
