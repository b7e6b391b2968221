"""An autoencoder alone in a folder: the official `model_type` \"autoencoder\" and its safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import model_validator

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder import Autoencoder, build_autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig, check_rates
from arc_eval.models.files import model_files
from arc_eval.models.schema import Count, Part, parse_part, read_json
from arc_eval.models.training_checkpoint import AUTOENCODER
from arc_eval.models.weights import filled, save_folder


class AutoencoderFile(Part):
    """A whole `model_config.json` of an autoencoder. `sample_size` counts audio samples."""

    model_type: Literal["autoencoder"]
    sample_size: Count
    sample_rate: Count
    audio_channels: Count
    model: AutoencoderConfig
    training: dict[str, Any] | None = None
    """Official training settings: kept, never read."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        check_rates(self.model, self.sample_rate)
        return self


def load_autoencoder(path: str | Path, *, ema: bool | None = None) -> tuple[Autoencoder, AutoencoderFile]:
    """An autoencoder in evaluation mode and its configuration; paths and `ema` as for `load_model`.

    Raises CheckpointError if files, configuration and tensors do not fit one another.
    """
    files = model_files(path)
    config = parse_part(AutoencoderFile, read_json(files.config), str(files.config))
    if files.weights is None:
        raise CheckpointError(f"{path}: random weights are for whole models, not for an autoencoder")
    autoencoder = filled(
        lambda: build_autoencoder(config.model), files.weights, AUTOENCODER, ema, config.sample_rate
    )
    return autoencoder, config


def save_autoencoder(
    autoencoder: Autoencoder, config: AutoencoderFile, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Writes a folder that `load_autoencoder` reads; float16 on disk. Raises CheckpointError."""
    data = config.model_dump(mode="json", exclude_none=True)
    save_folder(folder, data, autoencoder.state_dict(), manifest, dtype=torch.float16)
