"""Randomness belongs to one clip: seeds are hashes of names, noise comes from the CPU."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def clip_seed(suite_seed: int, prompt_id: str, take: int) -> int:
    """A 63-bit seed from what names a clip; nothing else (batch, order, device) enters it."""
    return hashed_seed("clip", suite_seed, prompt_id, take)


def hashed_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts, the same on every machine and Python."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def clip_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU random stream for each clip; CUDA would draw other numbers from the same seed."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def clip_noise(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """Standard normal float32[clip, *shape]; each clip's row advances its own stream alone."""
    return torch.stack([torch.randn(*shape, generator=generator) for generator in generators])


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Networks built inside begin with weights that `seed` decides; the process's stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
