"""The loop: steps, logs, checkpoints. A kill loses at most one checkpoint interval, and nothing else.

A step's random draws come from a stream seeded by the recipe's seed and the step's number, so a
resumed training draws what an uninterrupted one would have drawn.
"""

import io
import json
import math
import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from arc_eval import __version__
from arc_eval.contracts import Progress, silent
from arc_eval.errors import TrainingError
from arc_eval.seeding import hashed_seed
from arc_eval.training.recipe import Recipe
from arc_eval.training.task import Task


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, cache: Path | None = None, progress: Progress = silent
) -> Path:
    """Trains by the recipe into `out` and returns the folder of the published model.

    Writes `log.jsonl` and `checkpoint.pt` as it goes and `model/` at the end. With `resume` it goes
    on from the checkpoint if there is one. `cache` holds encoded data (default: `out/data`). Raises
    TrainingError on a NaN, on a folder in use by another recipe, and when asked to overwrite one.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{checkpoint} exists: add --resume to go on from it, or choose another --out")
    task = recipe.task(cache or out / "data", progress)
    start, seconds = _restore(task, checkpoint, recipe) if checkpoint.exists() else (0, 0.0)
    began = time.monotonic()
    with (out / "log.jsonl").open("a") as log, progress(f"training {out.name}", recipe.steps) as advance:
        advance(start)
        for step in range(start, recipe.steps):
            rng = torch.Generator().manual_seed(hashed_seed("train", recipe.seed, step))
            figures = task.step(step, rng)
            _refuse_nan(figures, step)
            spent = seconds + time.monotonic() - began
            if step % recipe.log_every == 0 or step + 1 == recipe.steps:
                log.write(json.dumps({"step": step, "seconds": round(spent, 1), **figures}) + "\n")
                log.flush()
            if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
                _save(task, checkpoint, recipe, step + 1, spent)
            advance(1)
    spent = seconds + time.monotonic() - began
    task.publish(out / "model", manifest(recipe, task, recipe.steps, spent))
    return out / "model"


def manifest(recipe: Recipe, task: Task, steps: int, seconds: float) -> dict[str, Any]:
    """What a checkpoint says of its own making."""
    return {
        "arc_eval": __version__,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest(),
        **task.facts,
        "steps": steps,
        "wall_seconds": round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _refuse_nan(figures: Mapping[str, float], step: int) -> None:
    bad = [name for name, value in figures.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(
            f"step {step}: {', '.join(bad)} not finite; the last checkpoint is from before: "
            "start again from its parents with a lower rate"
        )


def _save(task: Task, path: Path, recipe: Recipe, step: int, seconds: float) -> None:
    state = {name: part.state_dict() for name, part in task.state.items()}
    content = io.BytesIO()
    saved = {"recipe": recipe.digest(), "facts": dict(task.facts), "step": step, "seconds": seconds}
    torch.save({**saved, "state": state}, content)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: cannot be written: {error.strerror or error}; the checkpoint before it is whole: "
            "make room and add --resume"
        ) from error


def _restore(task: Task, path: Path, recipe: Recipe) -> tuple[int, float]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise TrainingError(
            f"{path}: not a checkpoint that can be read ({error}); choose another --out"
        ) from error
    if saved["recipe"] != recipe.digest():
        raise TrainingError(f"{path} belongs to another recipe (or other --set values); choose another --out")
    changed = [name for name, fact in task.facts.items() if saved["facts"].get(name) != fact]
    if changed:
        raise TrainingError(
            f"{path}: {', '.join(changed)} changed since: these weights began from other data or parents; "
            "bring those back or choose another --out"
        )
    for name, part in task.state.items():
        part.load_state_dict(saved["state"][name])
    return int(saved["step"]), float(saved["seconds"])
