"""An environment of its own for the reference, beside which arc_eval's stays as it is.

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


def reference_python(folder: Path) -> Path:
    """The interpreter of the environment in `folder`, made now if it is not there whole.

    Raises CalledProcessError if pip cannot; what it says is on standard error.
    """
    python, made = folder / "bin/python", folder / "reference.txt"
    wanted = "\n".join((REFERENCE, *NEEDED))
    if made.is_file() and made.read_text() == wanted:
        return python
    _run(sys.executable, "-m", "venv", str(folder))
    install = (str(python), "-m", "pip", "install", "--quiet")
    _run(*install, *NEEDED)
    _run(*install, "--no-deps", "--ignore-requires-python", REFERENCE)
    made.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
