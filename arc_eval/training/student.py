"""What every post-training shares: it starts from a pre-trained model and leaves a denoiser."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from arc_eval.errors import CheckpointError
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import load_model, save_model


def load_student(teacher: str) -> LatentDiffusion:
    """A pre-trained model whose DiT alone trains: captions keep the meaning that they had.

    Raises CheckpointError if the teacher is not a rectified-flow model.
    """
    model = load_model(teacher)
    if model.objective != "rectified_flow":
        raise CheckpointError(
            f"{teacher}: its objective is {model.objective!r}; post-training starts from 'rectified_flow'"
        )
    model.requires_grad_(False)
    model.dit.requires_grad_(True)
    return model.train()


def publish_student(model: LatentDiffusion, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the student with the objective that says it is sampled by ping-pong: `rf_denoiser`."""
    diffusion = model.config.model.diffusion.model_copy(update={"diffusion_objective": "rf_denoiser"})
    network = model.config.model.model_copy(update={"diffusion": diffusion})
    model.config = model.config.model_copy(update={"model": network})
    save_model(model, folder, manifest, dtype=torch.float16)
