"""What every post-training shares: it starts from a pre-trained model and leaves a denoiser."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arc_eval import flow
from arc_eval.contracts import Progress
from arc_eval.errors import CheckpointError
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import load_model, save_model, weights_digest
from arc_eval.training.batches import Batch, Batches
from arc_eval.training.latents import encode_latents
from arc_eval.training.learner import Learner
from arc_eval.training.recipe import Optimisation, Recipe


class StudentRecipe(Recipe):
    """`teacher` is a pre-trained model's folder, `autoencoder` the one its latents come from."""

    teacher: str
    autoencoder: str
    optimiser: Optimisation


class Student:
    """A copy of the teacher that learns to jump to clean latents, and what it is shown."""

    def __init__(self, recipe: StudentRecipe, cache: Path, progress: Progress) -> None:
        data = encode_latents(recipe, recipe.autoencoder, cache, progress)
        self.model = load_student(recipe.teacher)
        self.learner = Learner(self.model, recipe.optimiser, recipe)
        self.batches = Batches(data, recipe, self.model.config.model.pretransform.scale)
        parents = {"autoencoder": recipe.autoencoder, "teacher": recipe.teacher}
        self.facts = {
            "data_digest": data.digest,
            "parents": {name: weights_digest(folder) for name, folder in parents.items()},
        }

    def condition(self, batch: Batch) -> Conditioning:
        """The captions of a batch; the text encoder is the teacher's and stays as it is."""
        with torch.no_grad():
            return self.model.condition(batch.prompts)

    def generate(self, batch: Batch, conditioning: Conditioning, t: Tensor, rng: torch.Generator) -> Tensor:
        """Clean latents from recordings that were noised to times t, float[clip, channel, frame]."""
        x = flow.interpolate(batch.latents, torch.randn(batch.latents.shape, generator=rng), t)
        return flow.denoised(x, self.model.velocity(x, t, conditioning), t)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the average with the objective that says it is sampled by ping-pong: `rf_denoiser`."""
        model = self.learner.average
        diffusion = model.config.model.diffusion.model_copy(update={"diffusion_objective": "rf_denoiser"})
        network = model.config.model.model_copy(update={"diffusion": diffusion})
        model.config = model.config.model_copy(update={"model": network})
        save_model(model, folder, manifest, dtype=torch.float16)


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
