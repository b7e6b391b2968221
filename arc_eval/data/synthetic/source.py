"""The synthetic sounds as a data source: prompt i and its takes follow from names alone, in any order."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.data.synthetic.render import render
from arc_eval.data.synthetic.scene import Scene, draw_scene
from arc_eval.data.synthetic.signals import RATE
from arc_eval.data.synthetic.vocabulary import CLASSES
from arc_eval.errors import AudioError, DataError
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import hashed_seed

VERSION = "1"
"""Changes whenever a caption or a sample of an existing seed changes."""


class Settings(contracts.Settings):
    """A part of the endless source. Splits share no seed; `seed` names independent copies of a split."""

    split: Literal["train", "validation", "test", "reference"]
    count: int = Field(gt=0)
    seed: int = 0
    seconds: float = Field(default=2.0, ge=0.25, le=60)
    takes: int = Field(default=5, gt=0)

    def build(self) -> "Synthetic":
        """The source; nothing is rendered before it is asked for."""
        return Synthetic(self)


@lru_cache(maxsize=4096)
def class_order(split: str, seed: int, block: int) -> tuple[int, ...]:
    """Each block of as many scenes as classes holds every class once as its leading sound."""
    rng = np.random.default_rng(hashed_seed("synthetic", split, seed, "order", block))
    return tuple(int(i) for i in rng.permutation(len(CLASSES)))


class Synthetic:
    """Prompts with exact tags, and as many takes of each as the settings say."""

    sample_rate = RATE

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def scene(self, index: int) -> Scene:
        """What prompt `index` states. Raises DataError outside 0..count-1."""
        if not 0 <= index < self.settings.count:
            raise DataError(
                f"synthetic {self.settings.split}: no prompt {index}; there are {self.settings.count}"
            )
        split, seed = self.settings.split, self.settings.seed
        block, place = divmod(index, len(CLASSES))
        rng = np.random.default_rng(hashed_seed("synthetic", split, seed, index, "scene"))
        return draw_scene(rng, CLASSES[class_order(split, seed, block)[place]])

    def prompt(self, index: int) -> Prompt:
        """Prompt `index` alone, without building the others."""
        scene = self.scene(index)
        return Prompt(
            f"{self.settings.split}-{index:06d}", scene.caption, self.settings.seconds, scene.classes
        )

    def prompts(self) -> Sequence[Prompt]:
        """All `count` prompts, in order of their index; nothing is rendered."""
        return [self.prompt(index) for index in range(self.settings.count)]

    def takes(self) -> int:
        """How many different recordings of each prompt can be rendered."""
        return self.settings.takes

    def index(self, prompt_id: str) -> int:
        """The inverse of a prompt's id. Raises DataError for an id of another source."""
        split, _, number = prompt_id.rpartition("-")
        if split != self.settings.split or not number.isdecimal():
            raise DataError(
                f"synthetic {self.settings.split}: no prompt {prompt_id!r}; "
                f"ids look like {self.settings.split}-000042"
            )
        return int(number)

    def audio(self, prompt_id: str, take: int = 0) -> Tensor:
        """float32[2, round(seconds * 44100)], decided by split, seed, index, take and length alone."""
        if not 0 <= take < self.settings.takes:
            raise AudioError(f"{prompt_id}: no take {take}; `takes` is {self.settings.takes}")
        index = self.index(prompt_id)
        scene = self.scene(index)
        seed = hashed_seed("synthetic", self.settings.split, self.settings.seed, index, "take", take)
        return torch.from_numpy(render(np.random.default_rng(seed), scene, self.settings.seconds))

    def identity(self) -> Mapping[str, str]:
        """The settings and the version of the sounds, which together decide every sample."""
        facts = self.settings.model_dump()
        return {
            "kind": "synthetic",
            "version": VERSION,
            **{name: str(value) for name, value in facts.items()},
        }
