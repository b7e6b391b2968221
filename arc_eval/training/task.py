"""What a kind of training offers the loop: modules with state, one step, and what to publish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    """Anything with a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """The inverse of `state_dict`."""
        ...


class Task(Protocol):
    """One training: its state, one step of it, and the checkpoint it leaves."""

    @property
    def state(self) -> Mapping[str, Stateful]:
        """Everything that a step changes: networks, optimisers, averages."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest says of data and parents (digests)."""
        ...

    def step(self, step: int, rng: torch.Generator) -> Mapping[str, float]:
        """Trains once and returns what to log. Every random draw comes from `rng`."""
        ...

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the trained model and its manifest into `folder`."""
        ...
