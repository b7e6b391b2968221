"""An autoencoder alone in a folder: the official `model_type` \"autoencoder\" and its safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder import Autoencoder, build_autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig
from arc_eval.models.schema import Count, Part, parse_part
from arc_eval.models.weights import CONFIG, WEIGHTS, load_state, model_folder, read_tensors, save_folder


class AutoencoderFile(Part):
    """A whole `model_config.json` of an autoencoder. `sample_size` counts audio samples."""

    model_type: Literal["autoencoder"]
    sample_size: Count
    sample_rate: Count
    audio_channels: Count
    model: AutoencoderConfig


def load_autoencoder(path: str | Path) -> tuple[Autoencoder, AutoencoderFile]:
    """The autoencoder of a folder (or `tiny/NAME`) in evaluation mode, and its configuration.

    Raises CheckpointError if the folder, its configuration or its tensors do not fit.
    """
    folder = model_folder(path)
    try:
        data = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG}: cannot be read: {error}") from error
    config = parse_part(AutoencoderFile, data, str(folder / CONFIG))
    autoencoder = build_autoencoder(config.model)
    load_state(autoencoder, read_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
    return autoencoder.eval(), config


def save_autoencoder(
    autoencoder: Autoencoder, config: AutoencoderFile, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Writes a folder that `load_autoencoder` reads; float16 on disk. Raises CheckpointError."""
    data = config.model_dump(mode="json")
    save_folder(folder, data, autoencoder.state_dict(), manifest, dtype=torch.float16)
