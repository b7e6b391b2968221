"""The published T5 encoders by name: their sizes, known without opening a file of theirs."""

from typing import NamedTuple

from arc_eval.errors import CheckpointError, suggest


class Architecture(NamedTuple):
    """What tells one published T5 from another."""

    channels: int
    inner: int
    layers: int
    heads: int
    activation: str = "relu"
    head_channels: int = 64


ARCHITECTURES = {
    "t5-small": Architecture(512, 2048, 6, 8),
    "t5-base": Architecture(768, 3072, 12, 12),
    "t5-large": Architecture(1024, 4096, 24, 16),
    "t5-3b": Architecture(1024, 16384, 24, 32, head_channels=128),
    "t5-11b": Architecture(1024, 65536, 24, 128, head_channels=128),
    "google/flan-t5-small": Architecture(512, 1024, 8, 6, "gated-gelu"),
    "google/flan-t5-base": Architecture(768, 2048, 12, 12, "gated-gelu"),
    "google/flan-t5-large": Architecture(1024, 2816, 24, 16, "gated-gelu"),
    "google/flan-t5-xl": Architecture(2048, 5120, 24, 32, "gated-gelu"),
    "google/flan-t5-xxl": Architecture(4096, 10240, 24, 64, "gated-gelu"),
    "google/t5-v1_1-xl": Architecture(2048, 5120, 24, 32, "gated-gelu"),
    "google/t5-v1_1-xxl": Architecture(4096, 10240, 24, 64, "gated-gelu"),
}


def architecture(name: str) -> Architecture:
    """Of a published T5. Raises CheckpointError with the near miss if the name is unknown."""
    if name not in ARCHITECTURES:
        raise CheckpointError(f"no T5 encoder {name!r}; {suggest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]
