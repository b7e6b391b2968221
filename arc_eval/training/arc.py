"""ARC post-training: a pre-trained flow model becomes a few-step generator, adversarially.

The student reads a noised recording and jumps to clean latents; a discriminator, begun from the same
pre-trained blocks, sees both noised again and learns to score the recording above the student's clip
(relativistic), and the recording under its caption above the same under a wrong one (contrastive).
Even steps train the student, odd steps the discriminator. Source: arXiv 2505.08175 section 2; the
optimiser's rates at tiny scale are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from arc_eval import flow
from arc_eval.contracts import Progress, silent
from arc_eval.errors import TrainingError
from arc_eval.losses import adversarial
from arc_eval.losses.penalty import Judged, gradient_penalty
from arc_eval.losses.times import draw_times
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.discriminator import Discriminator
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import initial_weights
from arc_eval.training.batches import Batch, TimeName, quantile
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.recipe import Optimisation
from arc_eval.training.regress import Regression, Walks
from arc_eval.training.student import Student, StudentRecipe, load_student


class Warmup(Walks):
    """The first `steps` updates."""

    steps: int = Field(ge=1)


class ArcRecipe(StudentRecipe):
    """ARC post-training of a pre-trained model. `steps` counts updates of either network."""

    generator_times: TimeName = "logsnr_uniform"
    discriminator_times: TimeName = "trunc_logit_normal"
    pure_noise: float = Field(default=0.0, ge=0, le=1)
    """Share of a batch whose generator times are 1, where all sampling begins; the paper names none."""
    adversarial: Literal["relativistic", "least_squares"] = "relativistic"
    contrastive_weight: float = Field(default=1.0, ge=0)
    discriminator_layer: int = Field(ge=0)
    """The last DiT block of the discriminator, 0-based."""
    head_stages: int = Field(default=4, ge=1)
    discriminator_optimiser: Optimisation
    gradient_penalty: float = Field(default=0.0, ge=0)
    """Weight of the discriminator's roughness; the paper names none."""
    warmup: Warmup | None = None
    """Updates of the student by trajectory regression, before the game begins."""

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup is not None and self.warmup.steps >= self.steps:
            raise ValueError(f"warmup.steps {self.warmup.steps} must be below steps {self.steps}")
        return self

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "ArcTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return ArcTask(self, cache, progress, place)


@dataclass(frozen=True, kw_only=True)
class PairDraw(Draw):
    """Recordings, the noise and time from which the student jumps, and those at which both are judged."""

    latents: Tensor
    prompts: Sequence[Prompt]
    t: Tensor
    noise: Tensor
    s: Tensor
    renoise: Tensor


@dataclass(frozen=True, kw_only=True)
class JudgedDraw(PairDraw):
    """The same for the discriminator, with what its further terms need.

    wrong: every clip with another's words; differs: bool[clip], where those are others; differing: in how
    many places of the whole batch; push: float[clip, 2, channel, frame], standard normal, the directions
    in which the penalty moves the recording and the generated clip.
    """

    wrong: Sequence[Prompt] = ()
    differs: Tensor | None = None
    differing: int = 0
    push: Tensor | None = None


class ArcTask:
    """Student and discriminator in turn; the student's average is published."""

    def __init__(self, recipe: ArcRecipe, cache: Path, progress: Progress, place: Place) -> None:
        self.recipe = recipe
        self.discriminator = Discriminator.of(
            load_student(recipe.teacher).dit, recipe.discriminator_layer, stages=recipe.head_stages
        )
        self.student = Student(recipe, cache, progress, place)
        captions = {prompt.text for prompt in self.student.batches.data.prompts}
        if recipe.contrastive_weight and min(len(captions), recipe.batch) < 2:
            raise TrainingError(
                "a contrastive term needs two different captions in a batch; use a larger batch, recordings "
                "with different captions, or contrastive_weight: 0"
            )
        settings = recipe.discriminator_optimiser
        critic = Learner(self.discriminator, settings, recipe, place, published=False)
        self.learners: Mapping[str, Learner[Any]] = {"student": self.student.learner, "discriminator": critic}
        self.warmup = recipe.warmup and Regression(self.student, recipe, recipe.warmup, place)
        self.facts = self.student.facts

    def turn(self, step: int, rng: torch.Generator) -> Turn[Any]:
        """Trains the student at even steps, the discriminator at odd ones; logs their losses."""
        if self.warmup and self.recipe.warmup and step < self.recipe.warmup.steps:
            return self.warmup.turn(step, rng)
        batch = self.student.batches.at(step)
        pair = self._pair(batch, rng)
        if step % 2 == 0:
            return Turn("student", pair, self._student_loss, still=(self.discriminator,))
        return Turn("discriminator", self._judged(pair, rng), self._discriminator_loss)

    def _pair(self, batch: Batch, rng: torch.Generator) -> PairDraw:
        count, shape = len(batch.prompts), batch.latents.shape
        t = draw_times(quantile(self.recipe.generator_times), count, rng)
        t[: round(self.recipe.pure_noise * count)] = 1.0  # batches are shuffled: the first clips are any
        return PairDraw(
            clips=[prompt.id for prompt in batch.prompts],
            latents=batch.latents,
            prompts=batch.prompts,
            t=t,
            noise=torch.randn(shape, generator=rng),
            s=draw_times(quantile(self.recipe.discriminator_times), count, rng),
            renoise=torch.randn(shape, generator=rng),
        )

    def _student_loss(self, draw: PairDraw) -> Contribution:
        conditioning = self.student.condition(draw.prompts)
        fake_score = self._score(self._generated(draw, conditioning), draw, conditioning)
        if self.recipe.adversarial == "least_squares":
            loss = adversarial.least_squares_generator_loss(fake_score)
        else:
            with torch.no_grad():
                real_score = self._score(draw.latents, draw, conditioning)
            loss = adversarial.relativistic_loss(winner=fake_score, loser=real_score)
        loss = draw.share * loss
        return Contribution(loss, {"generator": loss})

    def _judged(self, pair: PairDraw, rng: torch.Generator) -> JudgedDraw:
        judged = JudgedDraw(**vars(pair))
        if self.recipe.contrastive_weight:
            judged = _contrasted(judged, rng)
        if self.recipe.gradient_penalty:
            count, *shape = pair.latents.shape
            judged = replace(judged, push=torch.randn(count, 2, *shape, generator=rng))
        return judged

    def _discriminator_loss(self, draw: JudgedDraw) -> Contribution:
        conditioning = self.student.condition(draw.prompts)
        with torch.no_grad():
            fake = self._generated(draw, conditioning)
        fake_score = self._score(fake, draw, conditioning)
        real_score = self._score(draw.latents, draw, conditioning)
        if self.recipe.adversarial == "least_squares":
            loss = adversarial.least_squares_discriminator_loss(real_score, fake_score)
        else:
            loss = adversarial.relativistic_loss(winner=real_score, loser=fake_score)
        loss = draw.share * loss
        figures = {"discriminator": loss, "margin": draw.share * (real_score - fake_score).mean()}
        if draw.differs is not None:
            figures["contrastive"] = self._contrast(real_score, draw, draw.differs)
            loss = loss + self.recipe.contrastive_weight * figures["contrastive"]
        if draw.push is not None:
            pairs = zip((draw.latents, fake), (real_score, fake_score), draw.push.unbind(1), strict=True)
            real, generated = (Judged(self._noised(x, draw), score, push) for x, score, push in pairs)
            penalty = gradient_penalty(self._judge(draw, conditioning), real, generated)
            figures["penalty"] = draw.share * penalty
            loss = loss + self.recipe.gradient_penalty * figures["penalty"]
        return Contribution(loss, figures)

    def _contrast(self, real_score: Tensor, draw: JudgedDraw, differs: Tensor) -> Tensor:
        """What the part adds to the mean over all clips that have a wrong caption."""
        here = int(differs.sum())
        wrong_score = self._score(draw.latents, draw, self.student.condition(draw.wrong))
        if not here:
            return 0 * wrong_score.sum()  # every process must walk the same way through its network
        return here / draw.differing * adversarial.contrastive_loss(real_score, wrong_score, differs)

    def _generated(self, draw: PairDraw, conditioning: Conditioning) -> Tensor:
        return self.student.jump(flow.interpolate(draw.latents, draw.noise, draw.t), draw.t, conditioning)

    def _score(self, latents: Tensor, draw: PairDraw, conditioning: Conditioning) -> Tensor:
        """Both sides of a pair pass here with the same noise and level."""
        return self._judge(draw, conditioning)(self._noised(latents, draw))

    def _noised(self, latents: Tensor, draw: PairDraw) -> Tensor:
        return flow.interpolate(latents, draw.renoise, draw.s)

    def _judge(self, draw: PairDraw, conditioning: Conditioning) -> Callable[[Tensor], Tensor]:
        """The discriminator at the draw's levels: noised latents to float[clip, logit]."""
        # Half precision ends here: differences of scores are what the losses are made of.
        return lambda x: self.discriminator(x, draw.s, conditioning).to(draw.s.dtype)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged student."""
        self.student.publish(folder, manifest)


def _contrasted(draw: JudgedDraw, rng: torch.Generator) -> JudgedDraw:
    """Every clip gets another's words and keeps its own length; as it was if all of the batch are equal."""
    texts = [prompt.text for prompt in draw.prompts]
    other = adversarial.mismatch(texts, rng)
    differing = int(other.differs.sum())
    if not differing:
        return draw
    places = zip(draw.prompts, other.permutation.tolist(), strict=True)
    wrong = [replace(prompt, text=texts[place]) for prompt, place in places]
    return replace(draw, wrong=wrong, differs=other.differs, differing=differing)
