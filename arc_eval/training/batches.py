"""What a diffusion training sees in one step: scaled latents and their prompts."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from arc_eval.losses.times import TIMES, Quantile
from arc_eval.records.prompt import Prompt
from arc_eval.training.data import Encoded, batch_indices
from arc_eval.training.recipe import Recipe

TimeName = Literal["uniform", "logit_normal", "logsnr_uniform", "trunc_logit_normal", "log_snr"]


def quantile(name: TimeName) -> Quantile:
    """The time distribution of a recipe."""
    return TIMES[name]


@dataclass(frozen=True)
class Batch:
    """latents: float32[clip, channel, frame], unit variance; prompts: one for each."""

    latents: Tensor
    prompts: list[Prompt]


class Batches:
    """A recipe's batches as a function of the step's number."""

    def __init__(self, data: Encoded, recipe: Recipe, scale: float) -> None:
        self.data, self.recipe, self.scale = data, recipe, scale

    def at(self, step: int) -> Batch:
        """The batch of one step."""
        indices = batch_indices(len(self.data), self.recipe.batch, self.recipe.seed, step)
        return Batch(self.data.rows(indices) / self.scale, [self.data.prompts[i] for i in indices.tolist()])
