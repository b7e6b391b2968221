"""Environments of their own for the references, beside which arc_eval's stays as it is.

stable-audio-tools 0.0.20 asks for Python 3.10, torch 2.7.1 and older releases of much else. Inference needs
the few packages below and the torch that arc_eval runs on, so that both sides have the same kernels; what
`theirs.ABSENT` names is not installed at all.
"""

import subprocess
import sys
from pathlib import Path

import torch

REFERENCE = "stable-audio-tools==0.0.20"
NEEDED = (
    f"torch=={torch.__version__.partition('+')[0]}",
    "numpy==2.4.6",
    "scipy==1.17.1",
    "einops==0.8.2",
    "einops-exts==0.0.4",
    "packaging",
    "safetensors",
    "tqdm",
    "huggingface_hub",
    "torchsde==0.2.6",
    "PyWavelets==1.9.0",
)


NETWORKS = ("hear21passt==0.0.26", "torchopenl3==1.0.1", "laion-clap==1.1.7", "resampy==0.2.2")
NETWORKS_NEED = (
    f"torch=={torch.__version__.partition('+')[0]}",
    "numpy==2.4.6",
    "librosa==0.11.0",
    "numba==0.68.1",
    "transformers==5.24.0",
    "torchlibrosa==0.1.0",
    "safetensors",
    "soundfile",
    "soxr",
    "h5py",
    "ftfy",
    "regex",
    "six",
    "setuptools<81",
)
"""resampy 0.2.2 imports pkg_resources, which later setuptools do not bring."""


def reference_python(folder: Path) -> Path:
    """The interpreter of the environment in `folder`, made now if it is not there whole.

    Raises CalledProcessError if pip cannot; what it says is on standard error.
    """
    return _python(folder, (REFERENCE,), NEEDED)


def extractors_python(folder: Path) -> Path:
    """As `reference_python`, with the networks that published scores were taken with."""
    return _python(folder, NETWORKS, NETWORKS_NEED)


def _python(folder: Path, references: tuple[str, ...], needed: tuple[str, ...]) -> Path:
    python, made = folder / "bin/python", folder / "reference.txt"
    wanted = "\n".join((*references, *needed))
    if made.is_file() and made.read_text() == wanted:
        return python
    _run(sys.executable, "-m", "venv", str(folder))
    install = (str(python), "-m", "pip", "install", "--quiet")
    _run(*install, *needed)
    _run(*install, "--no-deps", "--ignore-requires-python", *references)
    made.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
