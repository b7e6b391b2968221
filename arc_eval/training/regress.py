"""Trajectory regression: the student learns to jump to where a guided teacher arrives step by step.

By itself the simplest distilled baseline; in front of the adversarial game, its warm-up (the ODE
warm-up of stable-audio-tools). A teacher's walk costs many calls, so each serves several updates, which
look at it from different points. Walks are drawn from the recipe's seed and their number alone: a
training that is resumed in the middle of one walks it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from arc_eval.contracts import Progress, silent
from arc_eval.losses.trajectory import Trajectory, draw_points, follow, trajectory_loss
from arc_eval.models.weights import load_model
from arc_eval.records.prompt import Prompt
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.ode import dpmpp_2m
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.seeding import hashed_seed, initial_weights
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.precision import kept
from arc_eval.training.student import Student, StudentRecipe


class Walks(BaseModel):
    """How the teacher walks, and how many updates each walk serves."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sampling_steps: int = Field(default=20, ge=1)
    guidance: float = Field(default=4.0, ge=0)
    every: int = Field(default=1, ge=1)


class RegressRecipe(StudentRecipe):
    """A student that learns from walks alone."""

    walks: Walks = Walks()

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "RegressTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return RegressTask(self, cache, progress, place)


@dataclass(frozen=True, kw_only=True)
class WalkDraw(Draw):
    """Where a walk begins, under which prompts, and the point that each clip is looked at from."""

    prompts: Sequence[Prompt]
    noise: Tensor
    point: Tensor
    number: int
    """Of the walk."""


class Regression:
    """Updates of a student by walks of its teacher."""

    def __init__(self, student: Student, recipe: StudentRecipe, walks: Walks, place: Place) -> None:
        self.student, self.walks, self.seed = student, walks, recipe.seed
        teacher = load_model(recipe.teacher, place.device).requires_grad_(False)
        self.teacher = teacher.to(kept(recipe.precision))
        self._walked: dict[int, Trajectory] = {}
        self._number = -1

    def turn(self, step: int, rng: torch.Generator) -> Turn[WalkDraw]:
        """Trains the student once; logs the error of its jump."""
        number = step // self.walks.every
        batch = self.student.batches.at(number)
        own = torch.Generator().manual_seed(hashed_seed("walk", self.seed, number))
        draw = WalkDraw(
            clips=[prompt.id for prompt in batch.prompts],
            prompts=batch.prompts,
            noise=torch.randn(batch.latents.shape, generator=own),
            point=draw_points(self.walks.sampling_steps, len(batch.prompts), rng),
            number=number,
        )
        return Turn("student", draw, self._loss)

    def _loss(self, draw: WalkDraw) -> Contribution:
        walk = self._walk(draw)
        conditioning = self.student.condition(draw.prompts)
        loss = draw.share * trajectory_loss(
            lambda x, t: self.student.jump(x, t, conditioning), walk, draw.point
        )
        return Contribution(loss, {"regression": loss})

    def _walk(self, draw: WalkDraw) -> Trajectory:
        """The teacher's walk of these clips; remembered until the next walk begins."""
        if draw.number != self._number:
            self._walked, self._number = {}, draw.number
        if draw.first not in self._walked:
            velocity = guided(
                self.teacher.velocity, self.student.condition(draw.prompts), self.walks.guidance
            )
            times = log_snr_times(self.walks.sampling_steps)
            self._walked[draw.first] = follow(dpmpp_2m, velocity, draw.noise, times)
        return self._walked[draw.first]


class RegressTask:
    """The student's average is published."""

    def __init__(self, recipe: RegressRecipe, cache: Path, progress: Progress, place: Place) -> None:
        self.student = Student(recipe, cache, progress, place)
        self.regression = Regression(self.student, recipe, recipe.walks, place)
        self.learners: Mapping[str, Learner[Any]] = {"student": self.student.learner}
        self.facts = self.student.facts

    def turn(self, step: int, rng: torch.Generator) -> Turn[WalkDraw]:
        """Trains the student once; logs the error of its jump."""
        return self.regression.turn(step, rng)

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged student."""
        self.student.publish(folder, manifest)
