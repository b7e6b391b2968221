"""Autoencoders from files: alone (the official `model_type` "autoencoder"), or out of a whole model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import model_validator

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder import Autoencoder, build_autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig, check_rates
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.files import model_files
from arc_eval.models.schema import Count, Part, parse_part, read_json
from arc_eval.models.training_checkpoint import AUTOENCODER
from arc_eval.models.weights import filled, load_model, save_folder


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

    A whole diffusion model gives the one that it holds. Raises CheckpointError if files, configuration
    and tensors do not fit one another.
    """
    files = model_files(path)
    data = read_json(files.config)
    if data.get("model_type") == "diffusion_cond":
        return _within(load_model(path, ema=ema))
    config = parse_part(AutoencoderFile, data, str(files.config))
    if files.weights is None:
        raise CheckpointError(f"{path}: random weights are for whole models, not for an autoencoder")
    autoencoder = filled(
        lambda: build_autoencoder(config.model), files.weights, AUTOENCODER, ema, config.sample_rate
    )
    return autoencoder, config


def _within(model: LatentDiffusion) -> tuple[Autoencoder, AutoencoderFile]:
    whole = model.config
    config = AutoencoderFile(
        model_type="autoencoder",
        sample_size=whole.sample_size,
        sample_rate=whole.sample_rate,
        audio_channels=whole.audio_channels,
        model=whole.model.pretransform.config,
    )
    return model.autoencoder, config


def save_autoencoder(
    autoencoder: Autoencoder, config: AutoencoderFile, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Writes a folder that `load_autoencoder` reads; float16 on disk. Raises CheckpointError."""
    data = config.model_dump(mode="json", exclude_none=True)
    save_folder(folder, data, autoencoder.state_dict(), manifest, dtype=torch.float16)
