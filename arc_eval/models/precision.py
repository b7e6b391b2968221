"""What `float32` means on CUDA: there convolutions round to 10 bits (TF32) unless they are told not to."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Inside, convolutions on CUDA are as exact as their precision says; the process's switch comes back.

    Elsewhere the switch has no effect. Matrix products are exact on their own, as long as nobody asks
    otherwise (`torch.backends.cuda.matmul.allow_tf32`). Source: stable-audio-tools, which turns TF32 off
    for every clip (`generate_diffusion_cond`).
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
