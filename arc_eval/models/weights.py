"""Models from files and back, in the official layout: configuration, tensors and, for our own, a manifest.

Loading is strict: every missing, unexpected or misshapen tensor is named, and nothing is skipped.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import check_stated_rate, read_checkpoint
from arc_eval.models.config import ModelConfig, load_config
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.digest import cached_digest
from arc_eval.models.files import CONFIG, MANIFEST, WEIGHTS, model_files
from arc_eval.models.random_weights import random_model
from arc_eval.models.safetensors_file import write_safetensors
from arc_eval.models.schema import read_json
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.models.training_checkpoint import DIFFUSION, Wrapper, unwrapped
from arc_eval.seeding import initial_weights

RANDOM_SEED = 0
"""Of `random/` weights: the same in every process and on every machine."""


def load_model(
    path: str | Path, device: torch.device | str = "cpu", *, ema: bool | None = None
) -> LatentDiffusion:
    """A model in evaluation mode, float32 whatever precision its file has; `path` as in `models.files`.

    ema: of a training checkpoint, True or None takes the averaged weights, False the live ones; of released
    weights, which have no average, None or False takes them as they are. Memory peaks at about one copy of
    the weights: until they are written to, float32 tensors stay on the pages of the file. Raises
    CheckpointError if averaged weights are wanted (of a training checkpoint, also by None) and absent, or if
    files, configuration and tensors do not fit one another.
    """
    files = model_files(path)
    config = load_config(files.config)
    if files.weights is None:
        if ema is not None:
            raise CheckpointError(f"{path}: random weights have no average; leave `ema` out")
        return random_model(config, RANDOM_SEED).to(device).eval()
    model = filled(lambda: LatentDiffusion(config), files.weights, DIFFUSION, ema, config.sample_rate)
    return model.to(device)


N = TypeVar("N", bound=nn.Module)


def filled(build: Callable[[], N], weights: Path, wrapper: Wrapper, ema: bool | None, sample_rate: int) -> N:
    """What `build` makes, in evaluation mode, with a file's tensors; `ema` as for `load_model`.

    wrapper: the names of the script that would have trained it. Raises CheckpointError if the file is for
    another sample rate or does not fit.
    """
    where = str(weights)
    checkpoint = read_checkpoint(weights)
    check_stated_rate(checkpoint.config, sample_rate, where)
    with WithoutWeights():
        network = build()
    load_state(network, unwrapped(checkpoint.tensors, wrapper, ema, where), where)
    return network.eval()


def build_model(config: ModelConfig, seed: int) -> LatentDiffusion:
    """A freshly initialised model, decided by `seed`; the process-wide random stream is left as it was."""
    with initial_weights(seed):
        return LatentDiffusion(config)


def save_model(
    model: LatentDiffusion,
    folder: Path,
    manifest: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes a model folder; float16 halves it and is read back as float32.

    Raises CheckpointError if a tensor is not finite in `dtype`, or if the disk refuses.
    """
    save_folder(folder, as_data(model.config), model.state_dict(), manifest, dtype=dtype)


def as_data(config: ModelConfig) -> dict[str, Any]:
    """A configuration as `model_config.json` holds it: what was given and no defaults."""
    return config.model_dump(mode="json", exclude_unset=True)


def save_folder(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    manifest: Mapping[str, Any],
    *,
    dtype: torch.dtype | None = torch.float32,
) -> None:
    """Writes configuration, tensors and manifest, each file whole or not at all, the manifest last.

    dtype: of the stored tensors; None keeps each one's own. The manifest gains `digest`, which says which
    weights it speaks of.
    """
    stored = {name: _stored(name, tensor, dtype) for name, tensor in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS, lambda path: write_safetensors(path, stored))
        _write_json(folder / CONFIG, config)
        _write_json(folder / MANIFEST, {**manifest, "digest": weights_digest(folder)})
    except OSError as error:
        raise CheckpointError(
            f"{folder}: the model cannot be written: {error.strerror or error}; "
            "make room or choose another folder, and run the same command again"
        ) from error


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    # Rotary frequencies span four decades and are not worth the few bytes.
    exact = not tensor.is_floating_point() or name.endswith("inv_freq")
    stored = tensor.detach().to("cpu", None if exact else dtype).contiguous()
    if not bool(torch.isfinite(stored).all()):
        raise CheckpointError(f"{name} holds NaN or infinity in {stored.dtype}; the model was not written")
    return stored


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    _write(path, lambda temporary: temporary.write_text(text + "\n", "utf-8"))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Writes beside `path` and moves over it, so that a kill leaves the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def weights_digest(path: str | Path) -> str:
    """SHA-256 over configuration and weights: what decides the model's output. Same paths as `load_model`.

    Of a training checkpoint it covers live and averaged weights alike; of `random/`, the seed.
    """
    files = model_files(path)
    digest = hashlib.sha256(cached_digest(files.config))
    digest.update(f"random {RANDOM_SEED}".encode() if files.weights is None else cached_digest(files.weights))
    return digest.hexdigest()


def read_manifest(path: str | Path) -> dict[str, Any]:
    """How the weights came to be; empty without a manifest. Raises CheckpointError if it is corrupt."""
    manifest = model_files(path).manifest
    return read_json(manifest) if manifest.is_file() else {}
