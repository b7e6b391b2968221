"""The loop: steps, logs, checkpoints. A kill loses at most one checkpoint interval, and nothing else.

A step's random draws come from a stream seeded by the recipe's seed and the step's number, so a
resumed training draws what an uninterrupted one would have drawn.
"""

import math
import os
import platform
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from arc_eval import __version__
from arc_eval.contracts import Progress, silent
from arc_eval.errors import TrainingError
from arc_eval.lock import only_writer
from arc_eval.models.emulation import notice
from arc_eval.seeding import hashed_seed
from arc_eval.training.draw import Draw
from arc_eval.training.journal import journal
from arc_eval.training.place import ALONE, Place, without_gradients
from arc_eval.training.recipe import Recipe
from arc_eval.training.saved import Progressed, restore, save
from arc_eval.training.task import Task

NAMED = 8
"""Clips of a broken batch that its error names."""


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    cache: Path | None = None,
    progress: Progress = silent,
    place: Place = ALONE,
) -> Path:
    """Trains by the recipe into `out` and returns the folder of the published model.

    Writes `log.jsonl` and `checkpoint.pt` as it goes and `model/` at the end. With `resume` it goes
    on from the checkpoint if there is one. `cache` holds encoded data (default: `out/data`). Raises
    TrainingError on a NaN, on a folder that another process or recipe uses, and when asked to overwrite one.
    """
    if recipe.batch < place.processes:
        raise TrainingError(
            f"batch: {recipe.batch} clips cannot be divided among {place.processes} processes; start fewer, "
            "or train with a larger batch"
        )
    if place.leads:
        notice(place.device, recipe.precision)
    with only_writer(out, "training", TrainingError) if place.leads else nullcontext():
        return _train(recipe, out, resume, cache or out / "data", progress, place)


def _train(recipe: Recipe, out: Path, resume: bool, cache: Path, progress: Progress, place: Place) -> Path:
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{checkpoint} exists: add --resume to go on from it, or choose another --out")
    task = recipe.task(cache, progress, place)
    done = restore(task, checkpoint, recipe) if checkpoint.exists() else Progressed(0, 0.0)
    with ExitStack() as stack:
        log = stack.enter_context(journal(out, recipe.batch, done)) if place.leads else None
        advance = stack.enter_context(progress(f"training {out.name}", recipe.steps))
        advance(done.step)
        for step in range(done.step, recipe.steps):
            rng = torch.Generator().manual_seed(hashed_seed("train", recipe.seed, step))
            figures = update(task, step, rng)
            last = step + 1 == recipe.steps
            if log is not None and (step % recipe.log_every == 0 or last):
                log.write(step, figures)
            if (step + 1) % recipe.checkpoint_every == 0 or last:
                done = Progressed(step + 1, log.seconds if log else 0.0)
                save(task, checkpoint, recipe, done, leads=place.leads)
            advance(1)
    task.publish(out / "model", manifest(recipe, task, done, place))
    return out / "model"


def update(task: Task, step: int, rng: torch.Generator) -> dict[str, float]:
    """One step of a task: figures to log. Raises TrainingError where one is not finite, with the clips."""
    turn = task.turn(step, rng)
    learner = task.learners[turn.learner]
    scale = learner.scale.value
    # Sharded networks keep their gradients switched on: their groups were made with them.
    with without_gradients(turn.still if learner.place.grid is None else ()):
        figures = learner.learn(turn.draw, turn.loss, step)
    if learner.scale.value >= scale:  # a smaller one is the answer to float16's overflow
        _refuse_nan(figures, step, turn.learner, turn.draw)
    return figures


def manifest(recipe: Recipe, task: Task, done: Progressed, place: Place) -> dict[str, Any]:
    """What a checkpoint says of its own making."""
    return {
        "arc_eval": __version__,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest(),
        **task.facts,
        "steps": done.step,
        "wall_seconds": round(done.seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processes": place.processes,
            "accelerator": torch.cuda.get_device_name() if place.device.type == "cuda" else "none",
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _refuse_nan(figures: Mapping[str, float], step: int, learner: str, draw: Draw) -> None:
    bad = [name for name, value in figures.items() if not math.isfinite(value)]
    if bad:
        more = f" and {len(draw) - NAMED} more" if len(draw) > NAMED else ""
        raise TrainingError(
            f"step {step}: {learner}: {', '.join(bad)} not finite, on the batch of "
            f"{', '.join(draw.clips[:NAMED])}{more}. This update was not made; the last checkpoint is from "
            "before it. Look at these recordings, or start again from its parents with a lower rate"
        )
