"""The tiny extractors' folders: a `model_config.json` with `model_type` "tiny-tagger" or "tiny-clap"."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.files import model_files
from arc_eval.models.schema import parse_part, read_json
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.models.tiny_extractors import Clap, ClapConfig, Tagger, TaggerConfig
from arc_eval.models.weights import save_folder

C = TypeVar("C", bound=BaseModel)


def load_tagger(path: str | Path) -> Tagger:
    """The tagger of a folder (or `tiny/NAME`) in evaluation mode. Raises CheckpointError."""
    return _filled(Tagger, _config(path, "tiny-tagger", TaggerConfig), path)


def load_clap(path: str | Path) -> Clap:
    """The audio-text pair of a folder (or `tiny/NAME`) in evaluation mode. Raises CheckpointError."""
    return _filled(Clap, _config(path, "tiny-clap", ClapConfig), path)


def save_extractor(
    module: nn.Module, model_type: str, config: BaseModel, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Writes a folder that the loaders read; float16 on disk. Raises CheckpointError."""
    data = {"model_type": model_type, "config": config.model_dump(mode="json")}
    save_folder(folder, data, module.state_dict(), manifest, dtype=torch.float16)


def _config(path: str | Path, model_type: str, part: type[C]) -> C:
    file = model_files(path).config
    data = read_json(file)
    if data.get("model_type") != model_type:
        raise CheckpointError(
            f"{file}: model_type is {data.get('model_type')!r}, this extractor needs {model_type!r}"
        )
    return parse_part(part, data.get("config", {}), str(file))


M = TypeVar("M", bound=nn.Module)


def _filled(build: Callable[[C], M], config: C, path: str | Path) -> M:
    weights = model_files(path).weights
    if weights is None:
        raise CheckpointError(f"{path}: an extractor with random weights measures nothing")
    with WithoutWeights():
        module = build(config)
    load_state(module, read_tensors(weights), str(weights))
    return module.eval()
