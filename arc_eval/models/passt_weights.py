"""PaSST's released weights, a plain state dict, read without executing anything in the file."""

from pathlib import Path

import torch

from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.passt import Passt
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.seeding import initial_weights


def load_passt(path: Path) -> Passt:
    """The network in evaluation mode. Raises CheckpointError naming what is missing or another's."""
    with WithoutWeights():
        network = Passt()
    load_state(network, read_tensors(path), str(path))
    return network.eval()


def random_passt(seed: int = 0) -> Passt:
    """A network that has learnt nothing, of the official size."""
    with initial_weights(seed), torch.no_grad():
        return Passt().eval()
