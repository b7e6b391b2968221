"""Rectified-flow pre-training: the reference model, and the start of every student.

The DiT and the text encoder learn the velocity from data to noise on latents of a frozen
autoencoder; prompts are dropped now and then, so that guidance has an unconditional model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from arc_eval.contracts import Progress, silent
from arc_eval.errors import CheckpointError
from arc_eval.losses.rectified_flow import rectified_flow_loss
from arc_eval.losses.times import draw_times
from arc_eval.models.autoencoder_weights import load_autoencoder
from arc_eval.models.config import ModelConfig
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.schema import parse_part
from arc_eval.models.weights import build_model, load_model, save_model, weights_digest
from arc_eval.records.prompt import Prompt
from arc_eval.training.batches import Batches, TimeName, quantile
from arc_eval.training.data import Encoded
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.latents import encode_latents, spread
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.recipe import Optimisation, Recipe
from arc_eval.training.student import check_latents, conditioned


class PretrainRecipe(Recipe):
    """`conditioning` and `diffusion` are those parts of the official configuration.

    With `start` they, and `latent_scale`, may be left out; those that are stated must be the start's own.
    """

    start: str | None = None
    """A rectified-flow model to go on from, in any spelling of `models.files`; None: random weights."""
    autoencoder: str
    """An autoencoder's folder, or a whole model's, of which it is taken."""
    latent_scale: float | None = Field(default=None, gt=0)
    """What latents are divided by; None: what the start says, or else their standard deviation."""
    conditioning: Mapping[str, Any] | None = None
    diffusion: Mapping[str, Any] | None = None
    times: TimeName = "logit_normal"
    prompt_dropout: float = Field(default=0.1, ge=0, lt=1)
    optimiser: Optimisation

    @model_validator(mode="after")
    def _has_a_network(self) -> Self:
        missing = [key for key in ("conditioning", "diffusion") if getattr(self, key) is None]
        if self.start is None and missing:
            raise ValueError(f"{', '.join(missing)}: required, unless `start` names weights to go on from")
        return self

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "PretrainTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        return PretrainTask(self, cache, progress, place)


@dataclass(frozen=True, kw_only=True)
class FlowDraw(Draw):
    """Recordings, the noise and the times at which they meet, and whose prompt is dropped."""

    latents: Tensor
    prompts: Sequence[Prompt]
    dropped: Tensor
    t: Tensor
    noise: Tensor


class PretrainTask:
    """Trains DiT and conditioner; the autoencoder rides along frozen, so that the result is whole."""

    def __init__(self, recipe: PretrainRecipe, cache: Path, progress: Progress, place: Place) -> None:
        with place.leader_first():
            data = encode_latents(recipe, recipe.autoencoder, cache, progress)
        self.recipe = recipe
        self.model = _started(recipe) if recipe.start else _new_model(recipe, data)
        self.batches = Batches(data, recipe, self.model.config.model.pretransform.scale)
        self.learner = Learner(self.model, recipe.optimiser, recipe, place)
        self.learners = {"model": self.learner}
        self.facts = {
            **data.facts,
            "parents": {
                "autoencoder": weights_digest(recipe.autoencoder),
                **({"start": weights_digest(recipe.start)} if recipe.start else {}),
            },
        }

    def turn(self, step: int, rng: torch.Generator) -> Turn[FlowDraw]:
        """Regresses the velocity once; logs the loss."""
        recipe, batch = self.recipe, self.batches.at(step)
        draw = FlowDraw(
            clips=[prompt.id for prompt in batch.prompts],
            latents=batch.latents,
            prompts=batch.prompts,
            dropped=torch.rand(recipe.batch, generator=rng) < recipe.prompt_dropout,
            t=draw_times(quantile(recipe.times), recipe.batch, rng),
            noise=torch.randn(batch.latents.shape, generator=rng),
        )
        return Turn("model", draw, self._loss)

    def _loss(self, draw: FlowDraw) -> Contribution:
        conditioning = conditioned(self.model, draw.prompts).with_dropout(draw.dropped)
        loss = draw.share * rectified_flow_loss(
            lambda x, t: self.model.velocity(x, t, conditioning), draw.latents, draw.noise, draw.t
        )
        return Contribution(loss, {"loss": loss})

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged model, whole, in the official layout."""
        self.learner.publish(lambda model: save_model(model, folder, manifest, dtype=torch.float16))


def _new_model(recipe: PretrainRecipe, data: Encoded) -> LatentDiffusion:
    autoencoder, file = load_autoencoder(recipe.autoencoder)
    scale = recipe.latent_scale or spread(data)
    config = parse_part(
        ModelConfig,
        {
            "model_type": "diffusion_cond",
            "sample_size": file.sample_size,
            "sample_rate": file.sample_rate,
            "audio_channels": file.audio_channels,
            "model": {
                "pretransform": {"type": "autoencoder", "config": file.model.model_dump(), "scale": scale},
                "conditioning": recipe.conditioning,
                "diffusion": recipe.diffusion,
                "io_channels": file.model.latent_dim,
            },
        },
        "recipe",
    )
    _check_objective(config, "recipe: diffusion")
    model = build_model(config, recipe.seed)
    model.autoencoder.load_state_dict(autoencoder.state_dict())
    model.autoencoder.requires_grad_(False)
    return model


def _started(recipe: PretrainRecipe) -> LatentDiffusion:
    """The weights to go on from. Raises CheckpointError if the recipe speaks of another model."""
    start = str(recipe.start)
    model = load_model(start)
    parts = model.config.model
    _check_objective(model.config, start)
    check_latents(model, start, recipe.autoencoder)
    stated = {
        "conditioning": (recipe.conditioning, parts.conditioning),
        "diffusion": (recipe.diffusion, parts.diffusion),
    }
    other = [
        key
        for key, (said, own) in stated.items()
        if said is not None and parse_part(type(own), said, f"recipe: {key}") != own
    ]
    if recipe.latent_scale not in (None, parts.pretransform.scale):
        other.append(f"latent_scale ({parts.pretransform.scale:g})")
    if other:
        raise CheckpointError(
            f"{start}: its {', '.join(other)} is not what the recipe states; leave it out (null) to take the "
            "start's own"
        )
    model.autoencoder.requires_grad_(False)
    return model


def _check_objective(config: ModelConfig, where: str) -> None:
    objective = config.model.diffusion.diffusion_objective
    if objective != "rectified_flow":
        raise CheckpointError(f"{where}: objective {objective!r}; pre-training learns 'rectified_flow' alone")
