"""The tiny extractors' folders: a `model_config.json` with `model_type` "tiny-tagger" or "tiny-clap"."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from arc_eval.errors import CheckpointError
from arc_eval.models.schema import parse_part
from arc_eval.models.tiny_extractors import Clap, ClapConfig, Tagger, TaggerConfig
from arc_eval.models.weights import CONFIG, WEIGHTS, load_state, model_folder, read_tensors, save_folder

C = TypeVar("C", bound=BaseModel)


def load_tagger(path: str | Path) -> Tagger:
    """The tagger of a folder (or `tiny/NAME`) in evaluation mode. Raises CheckpointError."""
    tagger = Tagger(_config(path, "tiny-tagger", TaggerConfig))
    return _filled(tagger, path)


def load_clap(path: str | Path) -> Clap:
    """The audio-text pair of a folder (or `tiny/NAME`) in evaluation mode. Raises CheckpointError."""
    clap = Clap(_config(path, "tiny-clap", ClapConfig))
    return _filled(clap, path)


def save_extractor(
    module: nn.Module, model_type: str, config: BaseModel, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Writes a folder that the loaders read; float16 on disk. Raises CheckpointError."""
    data = {"model_type": model_type, "config": config.model_dump(mode="json")}
    save_folder(folder, data, module.state_dict(), manifest, dtype=torch.float16)


def _config(path: str | Path, model_type: str, part: type[C]) -> C:
    file = model_folder(path) / CONFIG
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    found = data.get("model_type") if isinstance(data, dict) else None
    if found != model_type:
        raise CheckpointError(f"{file}: model_type is {found!r}, this extractor needs {model_type!r}")
    return parse_part(part, data.get("config", {}), str(file))


M = TypeVar("M", bound=nn.Module)


def _filled(module: M, path: str | Path) -> M:
    file = model_folder(path) / WEIGHTS
    load_state(module, read_tensors(file), str(file))
    return module.eval()
