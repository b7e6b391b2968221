"""Model folders on disk: `model_config.json`, `model.safetensors` and, for our own, `manifest.json`.

Keys are the official ones. Loading is strict: every missing, unexpected or misshapen tensor is named.
Rotary frequencies are derived, so a file may hold them or not; weight norm may be spelt either way.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from arc_eval.errors import CheckpointError, suggest
from arc_eval.models.config import ModelConfig, load_config
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.seeding import initial_weights

CONFIG, WEIGHTS, MANIFEST = "model_config.json", "model.safetensors", "manifest.json"
PACKAGED = Path(__file__).resolve().parent.parent / "weights"
SHOWN = 8  # tensors of one kind of misfit to name before counting the rest


def model_folder(path: str | Path) -> Path:
    """The folder that `tiny/NAME`, a folder or a `model.safetensors` stands for.

    Raises CheckpointError if it does not exist or holds no model.
    """
    parts = Path(path).parts
    if len(parts) == 2 and parts[0] == "tiny":
        folder = PACKAGED / parts[1]
        if not (folder / WEIGHTS).is_file():
            names = [known.parent.name for known in PACKAGED.glob(f"*/{WEIGHTS}")]
            raise CheckpointError(f"{path}: no such packaged model; {suggest(parts[1], names)}")
        return folder
    folder = Path(path).parent if Path(path).name == WEIGHTS else Path(path)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name}: not found; a model folder holds {CONFIG} and {WEIGHTS}")
    return folder


def load_model(path: str | Path, device: torch.device | str = "cpu") -> LatentDiffusion:
    """The model of a folder in evaluation mode, float32 whatever precision the file has.

    Raises CheckpointError if the folder, its configuration or its tensors do not fit.
    """
    folder = model_folder(path)
    model = build_model(load_config(folder / CONFIG), seed=0)
    load_state(model, read_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
    return model.to(device).eval()


def build_model(config: ModelConfig, seed: int) -> LatentDiffusion:
    """A freshly initialised model, decided by `seed`; the process-wide random stream is left as it was."""
    with initial_weights(seed):
        return LatentDiffusion(config)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, on the CPU. Raises CheckpointError if it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from error


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copies tensors into a module by their official names, all or none; `where` names them in errors.

    Raises CheckpointError naming what is missing, unexpected or misshapen.
    """
    given = {_one_spelling(name): tensor for name, tensor in tensors.items()}
    expected = module.state_dict()
    derived = {name for name in (*given, *expected) if name.endswith("rotary_pos_emb.inv_freq")}
    optional = derived | {name for name in expected if name.endswith("_norm.beta")}
    findings = {
        "missing": sorted(expected.keys() - given.keys() - optional),
        "unexpected": sorted(given.keys() - expected.keys() - derived),
        "misshapen": [
            f"{name} is {list(given[name].shape)}, must be {list(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    lines = [_listed(kind, names) for kind, names in findings.items() if names]
    if lines:
        raise CheckpointError("\n".join([f"{where}: these tensors do not fit the configuration:", *lines]))
    module.load_state_dict({k: v for k, v in given.items() if k not in derived}, strict=False)


def _listed(kind: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"  {kind} ({len(names)}): {'; '.join(names[:SHOWN])}{more}"


def _one_spelling(name: str) -> str:
    """Newer torch writes weight norm's length and direction as a parametrisation."""
    name = name.replace("parametrizations.weight.original0", "weight_g")
    return name.replace("parametrizations.weight.original1", "weight_v")


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
    config = model.config.model_dump(mode="json", exclude_unset=True)
    save_folder(folder, config, model.state_dict(), manifest, dtype=dtype)


def save_folder(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    manifest: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes configuration, tensors and manifest, each file whole or not at all, the manifest last.

    The manifest gains `digest`, which says which weights it speaks of.
    """
    stored = {name: _stored(name, tensor, dtype) for name, tensor in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not save_file: it hides what the system said, a full disk above all, in an error of its own.
        content = save(stored)
        _write(folder / WEIGHTS, lambda path: path.write_bytes(content))
        _write_json(folder / CONFIG, config)
        _write_json(folder / MANIFEST, {**manifest, "digest": weights_digest(folder)})
    except OSError as error:
        raise CheckpointError(
            f"{folder}: the model cannot be written: {error.strerror or error}; "
            "make room or choose another folder, and run the same command again"
        ) from error


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
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


def weights_digest(folder: str | Path) -> str:
    """SHA-256 over configuration and weights: what decides the model's output. Same paths as `load_model`."""
    folder = model_folder(folder)
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """How the weights came to be; empty without a manifest. Raises CheckpointError if it is corrupt."""
    path = model_folder(folder) / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise CheckpointError(f"{path}: must hold a JSON object, not {type(manifest).__name__}")
    return manifest
