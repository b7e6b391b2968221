"""arc_eval's ARC post-training as `arc-eval train` runs it: a task built from a recipe, updated step by step.

Only its text encoder is replaced, by invented tokens that the reference gets too. Before it answers, it
leaves for the reference what every step will draw, and the discriminator's head.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from arc_eval.seeding import hashed_seed
from arc_eval.training.arc import ArcTask
from arc_eval.training.loop import update
from arc_eval.training.recipe import Recipe, load_recipe
from peer.link import serve
from peer.text import invent_text
from peer.training_material import DRAWN, HEAD, RECIPE
from peer.watch import Watch, facts, forget_peak

TURNS = ("generator", "discriminator")
"""Which step of a pair trains what."""


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `FOLDER [KEY=VALUE ...]`, builds the task; gives what answers a request."""
    folder = Path(sys.argv[1])
    recipe = load_recipe(folder / RECIPE, sys.argv[2:])
    task = recipe.task(folder / "data")
    assert isinstance(task, ArcTask)
    invent_text(task.student.model.conditioner)
    if not (folder / HEAD).exists():
        leave(task, recipe, folder)
    watch = Watch()

    def call(pair: int) -> Mapping[str, object]:
        steps = {name: 2 * pair + number for number, name in enumerate(TURNS)}
        figures: dict[str, float] = {}

        def both() -> None:
            for name, step in steps.items():
                with watch.stage(name):
                    found = update(task, step, stream(recipe, step))
                figures[f"{name} norm"] = found.pop("norm")
                figures.update(found)

        _, cost = watch.call(both)
        return {**cost, "figures": figures}

    told = facts(("arc_eval", "torch", "numpy")) | {"recipe": recipe.model_dump(mode="json")}
    forget_peak()
    return told, call


def stream(recipe: Recipe, step: int) -> torch.Generator:
    """The random numbers of a step, as the training loop seeds them."""
    return torch.Generator().manual_seed(hashed_seed("train", recipe.seed, step))


def leave(task: ArcTask, recipe: Recipe, folder: Path) -> None:
    """Writes what the reference is to start from and to see."""
    for pair in range(recipe.steps // 2):
        drawn: dict[str, Tensor] = {}
        for number, name in enumerate(TURNS):
            step = 2 * pair + number
            drawn |= {
                f"{name}.{key}": value for key, value in handed(task, step, stream(recipe, step)).items()
            }
        save_file(drawn, folder / DRAWN.format(pair))
    save_file(task.discriminator.head.state_dict(), folder / HEAD)


def handed(task: ArcTask, step: int, rng: torch.Generator) -> dict[str, Tensor]:
    """Everything that a step will draw, its captions as the networks read them."""
    draw: Any = task.turn(step, rng).draw
    found = {key: getattr(draw, key) for key in ("latents", "t", "noise", "s", "renoise")}
    for which, prompts in {"right": draw.prompts, "wrong": getattr(draw, "wrong", ())}.items():
        if prompts:
            read = task.student.condition(prompts)
            found |= {f"{which}.cross": read.cross, f"{which}.global": read.global_}
    return {key: value.contiguous() for key, value in found.items()}


if __name__ == "__main__":
    serve(load)
