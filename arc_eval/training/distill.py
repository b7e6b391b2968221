"""The distilled baseline: step distillation by distribution matching, with a small adversarial term.

In the style of Presto-S (arXiv 2410.05167) on a rectified-flow teacher: the student reads recordings
noised to the levels it will be sampled at; the guided teacher and a fake-score network, which follows
the student's own clips, say where each clip should move; a head on the fake-score network's blocks
tells recordings from clips by least squares. The fake-score network trains `fake_updates` times for
each step of the student.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from arc_eval.records.prompt import Prompt
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.seeding import initial_weights
from arc_eval.training.batches import TimeName, quantile
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.precision import kept
from arc_eval.training.recipe import Optimisation
from arc_eval.training.student import Student, StudentRecipe, load_student


class DistillRecipe(StudentRecipe):
    """`steps` counts updates of either network: one of the student, then `fake_updates` of the other."""

    sampling_steps: int = Field(default=8, ge=1)
    guidance: float = Field(default=3.0, ge=0)
    matching_times: TimeName = "uniform"
    score_times: TimeName = "logit_normal"
    fake_updates: int = Field(default=5, ge=1)
    adversarial_weight: float = Field(default=0.05, ge=0)
    head_layer: int = Field(ge=0)
    head_stages: int = Field(default=4, ge=1)
    fake_optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "DistillTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return DistillTask(self, cache, progress, place)


@dataclass(frozen=True, kw_only=True)
class MatchDraw(Draw):
    """Recordings, the noise and the sampler's level from which the student jumps, and where it is judged."""

    latents: Tensor
    prompts: Sequence[Prompt]
    level: Tensor
    noise: Tensor
    t: Tensor
    renoise: Tensor


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

    def __init__(self, recipe: DistillRecipe, cache: Path, progress: Progress, place: Place) -> None:
        self.recipe = recipe
        self.student = Student(recipe, cache, progress, place)
        teacher = load_model(recipe.teacher, place.device).requires_grad_(False)
        self.teacher = teacher.to(kept(recipe.precision))
        self.fake = FakeScore(load_student(recipe.teacher), recipe.head_layer, recipe.head_stages)
        follower = Learner(self.fake, recipe.fake_optimiser, recipe, place, published=False)
        self.levels = log_snr_times(recipe.sampling_steps)[:-1]
        self.learners: Mapping[str, Learner[Any]] = {"student": self.student.learner, "fake": follower}
        self.facts = self.student.facts

    def turn(self, step: int, rng: torch.Generator) -> Turn[MatchDraw]:
        """Trains the student at one step in 1 + `fake_updates`, the fake-score network at the others."""
        if step % (1 + self.recipe.fake_updates) == 0:
            draw = self._draw(step, self.recipe.matching_times, rng)
            return Turn("student", draw, self._student_loss, still=(self.fake,))
        return Turn("fake", self._draw(step, self.recipe.score_times, rng), self._fake_loss)

    def _draw(self, step: int, times: TimeName, rng: torch.Generator) -> MatchDraw:
        batch = self.student.batches.at(step)
        count, shape = len(batch.prompts), batch.latents.shape
        return MatchDraw(
            clips=[prompt.id for prompt in batch.prompts],
            latents=batch.latents,
            prompts=batch.prompts,
            level=self.levels[torch.randint(len(self.levels), (count,), generator=rng)],
            noise=torch.randn(shape, generator=rng),
            t=draw_times(quantile(times), count, rng),
            renoise=torch.randn(shape, generator=rng),
        )

    def _student_loss(self, draw: MatchDraw) -> Contribution:
        conditioning = self.student.condition(draw.prompts)
        clips = self._generated(draw, conditioning)
        matching = draw.share * distribution_matching_loss(
            clips,
            draw.renoise,
            draw.t,
            teacher=guided(self.teacher.velocity, conditioning, self.recipe.guidance),
            fake=lambda x, t: self.fake.model.velocity(x, t, conditioning),
        )
        figures = {"matching": matching}
        if not self.recipe.adversarial_weight:
            return Contribution(matching, figures)
        score = self.fake.judge(flow.interpolate(clips, draw.renoise, draw.t), draw.t, conditioning)
        fooling = draw.share * least_squares_generator_loss(score)
        loss = matching + self.recipe.adversarial_weight * fooling
        return Contribution(loss, {**figures, "fooling": fooling})

    def _fake_loss(self, draw: MatchDraw) -> Contribution:
        conditioning = self.student.condition(draw.prompts)
        with torch.no_grad():
            clips = self._generated(draw, conditioning)
        loss = draw.share * rectified_flow_loss(
            lambda x, t: self.fake.model.velocity(x, t, conditioning), clips, draw.renoise, draw.t
        )
        figures = {"score": loss}
        if not self.recipe.adversarial_weight:
            return Contribution(loss, figures)
        real, fake = (
            self.fake.judge(flow.interpolate(latents, draw.renoise, draw.t), draw.t, conditioning)
            for latents in (draw.latents, clips)
        )
        telling = draw.share * least_squares_discriminator_loss(real, fake)
        return Contribution(loss + telling, {**figures, "telling": telling})

    def _generated(self, draw: MatchDraw, conditioning: Conditioning) -> Tensor:
        """From recordings noised to a level that the student will be sampled at."""
        x = flow.interpolate(draw.latents, draw.noise, draw.level)
        return self.student.jump(x, draw.level, conditioning)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged student."""
        self.student.publish(folder, manifest)
