"""The distilled baseline: step distillation by distribution matching, with a small adversarial term.

In the style of Presto-S (arXiv 2410.05167) on a rectified-flow teacher: the student reads recordings
noised to the levels it will be sampled at; the guided teacher and a fake-score network, which follows
the student's own clips, say where each clip should move; a head on the fake-score network's blocks
tells recordings from clips by least squares. The fake-score network trains `fake_updates` times for
each step of the student.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from arc_eval import flow
from arc_eval.contracts import Progress, silent
from arc_eval.losses.adversarial import least_squares_discriminator_loss, least_squares_generator_loss
from arc_eval.losses.distillation import distribution_matching_loss
from arc_eval.losses.rectified_flow import rectified_flow_loss
from arc_eval.losses.times import draw_times
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.discriminator import ConvHead
from arc_eval.models.weights import load_model
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.seeding import initial_weights
from arc_eval.training.batches import Batch, TimeName, quantile
from arc_eval.training.learner import Learner
from arc_eval.training.recipe import Optimisation
from arc_eval.training.student import Student, StudentRecipe, load_student
from arc_eval.training.task import Stateful


class DistillRecipe(StudentRecipe):
    """`steps` counts updates of either network: one of the student, then `fake_updates` of the other."""

    sampling_steps: int = Field(default=8, ge=1)
    guidance: float = 3.0
    matching_times: TimeName = "uniform"
    score_times: TimeName = "logit_normal"
    fake_updates: int = Field(default=5, ge=1)
    adversarial_weight: float = Field(default=0.05, ge=0)
    head_layer: int = Field(ge=0)
    head_stages: int = Field(default=4, ge=1)
    fake_optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent) -> "DistillTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return DistillTask(self, cache, progress)


class FakeScore(nn.Module):
    """A model that follows the student's distribution, and a head on its blocks that tells it from data."""

    def __init__(self, model: LatentDiffusion, layer: int, stages: int) -> None:
        super().__init__()
        self.model, self.layer = model, layer
        self.head = ConvHead(model.dit.config.embed_dim, stages=stages)

    def judge(self, x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """float[clip, logit]; 1 is meant to say real and 0 generated."""
        stream = self.model.dit.hidden(x, t, conditioning.cross, conditioning.global_, self.layer)
        return self.head(stream.transpose(1, 2)).float()  # type: ignore[no-any-return]


class DistillTask:
    """Student, frozen teacher and fake-score network; the student's average is published."""

    def __init__(self, recipe: DistillRecipe, cache: Path, progress: Progress) -> None:
        self.recipe = recipe
        self.student = Student(recipe, cache, progress)
        self.teacher = load_model(recipe.teacher).requires_grad_(False)
        self.fake = FakeScore(load_student(recipe.teacher), recipe.head_layer, recipe.head_stages)
        self.follower = Learner(self.fake, recipe.fake_optimiser, recipe)
        self.levels = log_snr_times(recipe.sampling_steps)[:-1]
        self.state: Mapping[str, Stateful] = {"student": self.student.learner, "fake": self.follower}
        self.facts = self.student.facts

    def step(self, step: int, rng: torch.Generator) -> Mapping[str, float]:
        """Trains the student at one step in 1 + `fake_updates`, the fake-score network at the others."""
        batch = self.student.batches.at(step)
        conditioning = self.student.condition(batch)
        student_turn = step % (1 + self.recipe.fake_updates) == 0
        train = self._train_student if student_turn else self._train_fake
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            loss, figures = train(batch, conditioning, rng)
        learner = self.student.learner if student_turn else self.follower
        return {**figures, "norm": learner.learn(loss, step)}

    def _train_student(
        self, batch: Batch, conditioning: Conditioning, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        clips = self._generated(batch, conditioning, rng)
        t = draw_times(quantile(self.recipe.matching_times), len(batch.prompts), rng)
        noise = torch.randn(clips.shape, generator=rng)
        matching = distribution_matching_loss(
            clips,
            noise,
            t,
            teacher=guided(self.teacher.velocity, conditioning, self.recipe.guidance),
            fake=lambda x, t: self.fake.model.velocity(x, t, conditioning),
        )
        figures = {"matching": matching.item()}
        if not self.recipe.adversarial_weight:
            return matching, figures
        score = self.fake.judge(flow.interpolate(clips, noise, t), t, conditioning)
        fooling = least_squares_generator_loss(score)
        return matching + self.recipe.adversarial_weight * fooling, {**figures, "fooling": fooling.item()}

    def _train_fake(
        self, batch: Batch, conditioning: Conditioning, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad():
            clips = self._generated(batch, conditioning, rng)
        t = draw_times(quantile(self.recipe.score_times), len(batch.prompts), rng)
        noise = torch.randn(clips.shape, generator=rng)
        loss = rectified_flow_loss(lambda x, t: self.fake.model.velocity(x, t, conditioning), clips, noise, t)
        figures = {"score": loss.item()}
        if not self.recipe.adversarial_weight:
            return loss, figures
        real, fake = (
            self.fake.judge(flow.interpolate(latents, noise, t), t, conditioning)
            for latents in (batch.latents, clips)
        )
        telling = least_squares_discriminator_loss(real, fake)
        return loss + telling, {**figures, "telling": telling.item()}

    def _generated(self, batch: Batch, conditioning: Conditioning, rng: torch.Generator) -> Tensor:
        """From recordings noised to a level that the student will be sampled at."""
        t = self.levels[torch.randint(len(self.levels), (len(batch.prompts),), generator=rng)]
        return self.student.generate(batch, conditioning, t, rng)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged student."""
        self.student.publish(folder, manifest)
