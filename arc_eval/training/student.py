"""What every post-training shares: it starts from a pre-trained model and leaves a denoiser."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arc_eval import flow
from arc_eval.contracts import Progress
from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder_weights import load_autoencoder
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import load_model, save_model, weights_digest
from arc_eval.records.prompt import Prompt
from arc_eval.training.batches import Batches
from arc_eval.training.latents import encode_latents
from arc_eval.training.learner import Learner
from arc_eval.training.place import Place
from arc_eval.training.recipe import Optimisation, Recipe


class StudentRecipe(Recipe):
    """`teacher` is a pre-trained model's folder, `autoencoder` the one its latents come from."""

    teacher: str
    autoencoder: str
    optimiser: Optimisation


class Student:
    """A copy of the teacher that learns to jump to clean latents, and what it is shown."""

    def __init__(self, recipe: StudentRecipe, cache: Path, progress: Progress, place: Place) -> None:
        with place.leader_first():
            data = encode_latents(recipe, recipe.autoencoder, cache, progress)
        self.model = load_student(recipe.teacher)
        check_latents(self.model, recipe.teacher, recipe.autoencoder)
        self.learner = Learner(self.model, recipe.optimiser, recipe, place)
        self.batches = Batches(data, recipe, self.model.config.model.pretransform.scale)
        parents = {"autoencoder": recipe.autoencoder, "teacher": recipe.teacher}
        self.facts = {
            **data.facts,
            "parents": {name: weights_digest(folder) for name, folder in parents.items()},
        }

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """Captions and lengths; the text encoder is the teacher's and stays as it is."""
        with torch.no_grad():
            return conditioned(self.model, prompts)

    def jump(self, x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """Clean latents from latents that were noised to times t, float[clip, channel, frame]."""
        return flow.denoised(x, self.model.velocity(x, t, conditioning), t)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the average with the objective that says it is sampled by ping-pong: `rf_denoiser`."""

        def write(model: LatentDiffusion) -> None:
            diffusion = model.config.model.diffusion.model_copy(update={"diffusion_objective": "rf_denoiser"})
            network = model.config.model.model_copy(update={"diffusion": diffusion})
            model.config = model.config.model_copy(update={"model": network})
            save_model(model, folder, manifest, dtype=torch.float16)

        self.learner.publish(write)


def check_latents(model: LatentDiffusion, whose: str, autoencoder: str) -> None:
    """Raises CheckpointError unless the recordings' latents are those of the model's own autoencoder.

    With another one a training would run, and teach the model latents that it decodes to noise.
    """
    loaded, file = load_autoencoder(autoencoder)
    given, own = loaded.state_dict(), model.autoencoder.state_dict()
    same = given.keys() == own.keys() and all(
        # One of the two may have been stored in half precision.
        given[name].shape == own[name].shape and torch.allclose(given[name], own[name], rtol=1e-2, atol=1e-3)
        for name in own
    )
    if not same or file.sample_size != model.config.sample_size:
        what = "has clips of another length than" if same else "is not the autoencoder of"
        raise CheckpointError(
            f"{autoencoder}: {what} {whose}; say `autoencoder: {whose}` to take the model's own"
        )


def conditioned(model: LatentDiffusion, prompts: Sequence[Prompt]) -> Conditioning:
    """One row for each prompt, in float32 whatever the network around it computes in."""
    with torch.autocast(model.device.type, enabled=False):
        return model.condition(prompts)


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
