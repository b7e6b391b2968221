"""Any model that can be loaded, written in the official layout: `model_config.json` and safetensors."""

from pathlib import Path

import torch
from torch import Tensor

from arc_eval import __version__
from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.config import T5Conditioning, load_config
from arc_eval.models.files import model_files
from arc_eval.models.state import FREQUENCIES, one_spelling
from arc_eval.models.training_checkpoint import DIFFUSION, unwrapped
from arc_eval.models.weights import as_data, load_model, read_manifest, save_folder, weights_digest


def export_model(
    path: str | Path, folder: Path, *, ema: bool | None = None, dtype: torch.dtype | None = None
) -> None:
    """Writes a model (named as for `load_model`) into a folder that reads back as the same model.

    dtype: None keeps each tensor's stored precision, so that nothing is rounded. The manifest names the
    digest of the original and carries the original's own manifest. Raises CheckpointError as loading and
    saving do, and for random weights with a random text encoder, which no model file holds.
    """
    _check_whole(path)
    model = load_model(path, ema=ema)
    tensors = model.state_dict()
    if dtype is None:
        tensors = _as_stored(tensors, path, ema)
    manifest = {
        "arc_eval": __version__,
        "export": {"ema": ema, "dtype": None if dtype is None else str(dtype).removeprefix("torch.")},
        "parents": {"original": weights_digest(path)},
        "original": read_manifest(path),
    }
    save_folder(folder, as_data(model.config), tensors, manifest, dtype=dtype)


def _check_whole(path: str | Path) -> None:
    files = model_files(path)
    conditioners = load_config(files.config).model.conditioning.configs
    if files.weights is None and any(isinstance(each, T5Conditioning) for each in conditioners):
        raise CheckpointError(
            f"{path}: not exported: its text encoder is a random T5, which no model file holds: what is "
            f"read back would have the published one and be another model. Use {path} itself"
        )


def _as_stored(tensors: dict[str, Tensor], path: str | Path, ema: bool | None) -> dict[str, Tensor]:
    """The tensors in the precision that the file has them in; rotary frequencies are derived, not read."""
    weights = model_files(path).weights
    if weights is None:
        return tensors
    where = str(weights)
    stored = one_spelling(unwrapped(read_tensors(weights), DIFFUSION, ema, where), where)
    read = tensors.keys() & {name for name in stored if not name.endswith(FREQUENCIES)}
    return {name: part.to(stored[name].dtype) if name in read else part for name, part in tensors.items()}
