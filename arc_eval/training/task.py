"""What a kind of training offers the loop: learners, whose turn it is, and what to publish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from arc_eval.training.draw import Turn
from arc_eval.training.learner import Learner


class Task(Protocol):
    """One training: its networks, one update of them, and the checkpoint it leaves."""

    @property
    def learners(self) -> Mapping[str, Learner[Any]]:
        """Everything that changes, by name."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest says of data and parents (digests)."""
        ...

    def turn(self, step: int, rng: torch.Generator) -> Turn[Any]:
        """What step `step` trains, and on what. Every random draw comes from `rng`, on the CPU."""
        ...

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the trained model and its manifest into `folder`."""
        ...
