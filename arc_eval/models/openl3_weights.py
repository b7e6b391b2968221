"""OpenL3's official weights: a Keras `.h5`, read layer by layer in the order that the file states.

Layer names are numbered by how many models a session had built, so only order and shapes count.
"""

from pathlib import Path

import torch
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.openl3 import OpenL3
from arc_eval.seeding import initial_weights

NORM = ("weight", "bias", "running_mean", "running_var")
"""Keras writes gamma, beta, moving mean, moving variance."""


def load_openl3(path: Path, representation: str, size: int) -> OpenL3:
    """The network in evaluation mode. Raises CheckpointError if the file is another's, or damaged."""
    layers = _layers(path)
    network = OpenL3(representation, size)
    wanted = [part for pair in zip(network.norms, network.convs, strict=True) for part in pair]
    if len(layers) != len(wanted):
        raise CheckpointError(
            f"{path}: {len(layers)} layers with weights, OpenL3 has {len(wanted)}; is it a file of "
            "openl3 0.4 (`openl3_audio_*.h5`)?"
        )
    for place, (layer, part) in enumerate(zip(layers, wanted, strict=True)):
        names = ("weight", "bias") if len(layer) == 2 else NORM
        if len(layer) == 2:  # Keras: height, width, in, out
            layer = [layer[0].permute(3, 2, 0, 1) if layer[0].ndim == 4 else layer[0], layer[1]]
        own = part.state_dict()
        found = dict(zip(names, layer, strict=False))
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        expected = {name: tuple(tensor.shape) for name, tensor in own.items() if tensor.ndim}
        if shapes != expected:
            raise CheckpointError(f"{path}: layer {place + 1} holds {shapes}, OpenL3 has {expected} there")
        part.load_state_dict({**own, **found})
    return network.eval()


def random_openl3(representation: str, size: int, seed: int = 0) -> OpenL3:
    """A network that has learnt nothing, of the official size: to time, or to see a suite run."""
    with initial_weights(seed):
        return OpenL3(representation, size).eval()


def _layers(path: Path) -> list[list[Tensor]]:
    """The arrays of every layer that has some."""
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError(f"{path}: needs h5py: pip install 'arc_eval[metrics]'") from error
    try:
        with h5py.File(path, "r") as file:
            groups = [file[_text(name)] for name in file.attrs["layer_names"]]
            return [
                [torch.from_numpy(group[_text(name)][()]).float() for name in group.attrs["weight_names"]]
                for group in groups
                if len(group.attrs["weight_names"])
            ]
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: not found; is `weights` right?") from error
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not Keras weights (.h5; a .gz must be unpacked): {error}") from error


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
