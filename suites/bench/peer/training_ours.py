"""arc_eval's ARC post-training as `arc-eval train` runs it: a task built from a recipe, updated step by step.

Only its text encoder is replaced, by invented tokens that the reference gets too.
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
from arc_eval.training.recipe import load_recipe
from peer.link import serve
from peer.text import invent_text
from peer.training_material import HEAD, RECIPE
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
    save_file(task.discriminator.head.state_dict(), folder / HEAD)
    watch = Watch()

    def rng(step: int) -> torch.Generator:
        return torch.Generator().manual_seed(hashed_seed("train", recipe.seed, step))

    def call(pair: int, draw: str | None = None) -> Mapping[str, object]:
        steps = {name: 2 * pair + number for number, name in enumerate(TURNS)}
        if draw is not None:
            save_file(handed(task, {name: (step, rng(step)) for name, step in steps.items()}), draw)
            return {}
        figures: dict[str, float] = {}

        def both() -> None:
            for name, step in steps.items():
                with watch.stage(name):
                    found = update(task, step, rng(step))
                figures[f"{name} norm"] = found.pop("norm")
                figures.update(found)

        _, cost = watch.call(both)
        return {**cost, "figures": figures}

    told = facts(("arc_eval", "torch", "numpy")) | {"recipe": recipe.model_dump(mode="json")}
    forget_peak()
    return told, call


def handed(task: ArcTask, steps: Mapping[str, tuple[int, torch.Generator]]) -> dict[str, Tensor]:
    """Everything that the steps of a pair will draw, for the reference to see the same."""
    found: dict[str, Tensor] = {}
    for name, (step, rng) in steps.items():
        draw: Any = task.turn(step, rng).draw
        found |= {f"{name}.{key}": getattr(draw, key) for key in ("latents", "t", "noise", "s", "renoise")}
        captions = {"right": draw.prompts} | ({"wrong": draw.wrong} if name == "discriminator" else {})
        for which, prompts in captions.items():
            read = task.student.condition(prompts)
            found |= {f"{name}.{which}.cross": read.cross, f"{name}.{which}.global": read.global_}
    return {key: value.contiguous() for key, value in found.items()}


if __name__ == "__main__":
    serve(load)
