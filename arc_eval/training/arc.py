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
from arc_eval.models.discriminator import Discriminator
from arc_eval.seeding import initial_weights
from arc_eval.training.batches import Batch, TimeName, quantile
from arc_eval.training.learner import Learner
from arc_eval.training.recipe import Optimisation
from arc_eval.training.student import Student, StudentRecipe
from arc_eval.training.task import Stateful


class ArcRecipe(StudentRecipe):
    """ARC post-training of a pre-trained model."""

    generator_times: TimeName = "logsnr_uniform"
    discriminator_times: TimeName = "trunc_logit_normal"
    adversarial: Literal["relativistic", "least_squares"] = "relativistic"
    contrastive_weight: float = Field(default=1.0, ge=0)
    discriminator_layer: int = Field(ge=0)
    """The last DiT block of the discriminator, 0-based."""
    head_stages: int = Field(default=4, ge=1)
    discriminator_optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent) -> "ArcTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return ArcTask(self, cache, progress)


class ArcTask:
    """Student and discriminator in turn; the student's average is published."""

    def __init__(self, recipe: ArcRecipe, cache: Path, progress: Progress) -> None:
        self.recipe = recipe
        self.student = Student(recipe, cache, progress)
        self.discriminator = Discriminator.of(
            self.student.model.dit, recipe.discriminator_layer, stages=recipe.head_stages
        )
        self.critic = Learner(self.discriminator, recipe.discriminator_optimiser, recipe)
        self.state: Mapping[str, Stateful] = {"student": self.student.learner, "discriminator": self.critic}
        self.facts = self.student.facts

    def step(self, step: int, rng: torch.Generator) -> Mapping[str, float]:
        """Trains the student at even steps, the discriminator at odd ones; logs losses and gradient norm."""
        batch = self.student.batches.at(step)
        conditioning = self.student.condition(batch)
        generator_turn = step % 2 == 0
        train = self._train_generator if generator_turn else self._train_discriminator
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            loss, figures = train(batch, conditioning, rng)
        learner = self.student.learner if generator_turn else self.critic
        return {**figures, "norm": learner.learn(loss, step)}

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
        return self.student.generate(batch, conditioning, t, rng)

    def _renoising(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        s = draw_times(quantile(self.recipe.discriminator_times), len(batch.prompts), rng)
        return torch.randn(batch.latents.shape, generator=rng), s

    def _score(self, latents: Tensor, noise: Tensor, s: Tensor, conditioning: Conditioning) -> Tensor:
        """Both sides of a pair pass here with the same noise and level."""
        return self.discriminator(flow.interpolate(latents, noise, s), s, conditioning).float()  # type: ignore[no-any-return]

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged student."""
        self.student.publish(folder, manifest)
