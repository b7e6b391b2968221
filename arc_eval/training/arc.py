"""ARC post-training: a pre-trained flow model becomes a few-step generator, adversarially.

The student reads a noised recording and jumps to clean latents; a discriminator, begun from the same
pre-trained blocks, sees both noised again and learns to score the recording above the student's clip
(relativistic), and the recording under its caption above the same under a wrong one (contrastive).
Even steps train the student, odd steps the discriminator. Source: arXiv 2505.08175 section 2; the
optimiser's rates at tiny scale are ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import flow
from arc_eval.contracts import Progress, silent
from arc_eval.losses import adversarial
from arc_eval.losses.times import draw_times
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.discriminator import Discriminator
from arc_eval.models.weights import weights_digest
from arc_eval.training.batches import Batch, Batches, TimeName, quantile
from arc_eval.training.ema import ExponentialAverage
from arc_eval.training.latents import encode_latents
from arc_eval.training.optimise import adamw, descend, learning_rate
from arc_eval.training.recipe import Optimisation, Recipe
from arc_eval.training.student import load_student, publish_student
from arc_eval.training.task import Stateful


class ArcRecipe(Recipe):
    """`teacher` is a pre-trained model's folder, `autoencoder` the one its latents come from."""

    teacher: str
    autoencoder: str
    generator_times: TimeName = "logsnr_uniform"
    discriminator_times: TimeName = "trunc_logit_normal"
    adversarial: Literal["relativistic", "least_squares"] = "relativistic"
    contrastive_weight: float = Field(default=1.0, ge=0)
    discriminator_layer: int = Field(ge=0)
    """The last DiT block of the discriminator, 0-based."""
    head_stages: int = Field(default=4, ge=1)
    optimiser: Optimisation
    discriminator_optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent) -> "ArcTask":
        return ArcTask(self, cache, progress)


class ArcTask:
    """Student and discriminator in turn; the student's average is published."""

    def __init__(self, recipe: ArcRecipe, cache: Path, progress: Progress) -> None:
        torch.manual_seed(recipe.seed)  # the head's initial weights only; steps draw from their own streams
        data = encode_latents(recipe, recipe.autoencoder, cache, progress)
        self.recipe = recipe
        self.model = load_student(recipe.teacher)
        self.discriminator = Discriminator.of(
            self.model.dit, recipe.discriminator_layer, stages=recipe.head_stages
        )
        self.batches = Batches(data, recipe, self.model.config.model.pretransform.scale)
        self.optimiser = adamw(self.model.dit, recipe.optimiser)
        self.discriminator_optimiser = adamw(self.discriminator, recipe.discriminator_optimiser)
        self.average: ExponentialAverage[LatentDiffusion] = ExponentialAverage(self.model, recipe.ema)
        self.state: Mapping[str, Stateful] = {
            "model": self.model,
            "optimiser": self.optimiser,
            "average": self.average,
            "discriminator": self.discriminator,
            "discriminator_optimiser": self.discriminator_optimiser,
        }
        self.facts = {
            "data_digest": data.digest,
            "parents": {
                "autoencoder": weights_digest(recipe.autoencoder),
                "teacher": weights_digest(recipe.teacher),
            },
        }

    def step(self, step: int, rng: torch.Generator) -> Mapping[str, float]:
        batch = self.batches.at(step)
        with torch.no_grad():
            conditioning = self.model.condition(batch.prompts)
        train = self._train_generator if step % 2 == 0 else self._train_discriminator
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            loss, figures = train(batch, conditioning, rng)
        generator_turn = step % 2 == 0
        settings = self.recipe.optimiser if generator_turn else self.recipe.discriminator_optimiser
        norm = descend(
            self.optimiser if generator_turn else self.discriminator_optimiser,
            loss,
            (self.model.dit if generator_turn else self.discriminator).parameters(),
            rate=learning_rate(settings, step, self.recipe.steps),
            clip_norm=self.recipe.clip_norm,
        )
        if generator_turn:
            self.average.update()
        return {**figures, "norm": norm}

    def _train_generator(
        self, batch: Batch, conditioning: Conditioning, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        fake = self._generated(batch, conditioning, rng)
        noise, s = self._renoising(batch, rng)
        fake_score = self._score(fake, noise, s, conditioning)
        if self.recipe.adversarial == "least_squares":
            loss = adversarial.least_squares_generator_loss(fake_score)
        else:
            with torch.no_grad():
                real_score = self._score(batch.latents, noise, s, conditioning)
            loss = adversarial.relativistic_loss(winner=fake_score, loser=real_score)
        return loss, {"generator": loss.item()}

    def _train_discriminator(
        self, batch: Batch, conditioning: Conditioning, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad():
            fake = self._generated(batch, conditioning, rng)
        noise, s = self._renoising(batch, rng)
        fake_score = self._score(fake, noise, s, conditioning)
        real_score = self._score(batch.latents, noise, s, conditioning)
        if self.recipe.adversarial == "least_squares":
            loss = adversarial.least_squares_discriminator_loss(real_score, fake_score)
        else:
            loss = adversarial.relativistic_loss(winner=real_score, loser=fake_score)
        figures = {"discriminator": loss.item(), "margin": (real_score - fake_score).mean().item()}
        if self.recipe.contrastive_weight:
            other = adversarial.mismatch([prompt.text for prompt in batch.prompts], rng)
            wrong_score = self._score(
                batch.latents, noise, s, conditioning.with_prompts_of(other.permutation)
            )
            contrast = adversarial.contrastive_loss(real_score, wrong_score, other.differs)
            figures["contrastive"] = contrast.item()
            loss = loss + self.recipe.contrastive_weight * contrast
        return loss, figures

    def _generated(self, batch: Batch, conditioning: Conditioning, rng: torch.Generator) -> Tensor:
        t = draw_times(quantile(self.recipe.generator_times), len(batch.prompts), rng)
        x = flow.interpolate(batch.latents, torch.randn(batch.latents.shape, generator=rng), t)
        return flow.denoised(x, self.model.velocity(x, t, conditioning), t)

    def _renoising(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        s = draw_times(quantile(self.recipe.discriminator_times), len(batch.prompts), rng)
        return torch.randn(batch.latents.shape, generator=rng), s

    def _score(self, latents: Tensor, noise: Tensor, s: Tensor, conditioning: Conditioning) -> Tensor:
        """Both sides of a pair pass here with the same noise and level."""
        return self.discriminator(flow.interpolate(latents, noise, s), s, conditioning).float()  # type: ignore[no-any-return]

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        publish_student(self.average.average, folder, manifest)
