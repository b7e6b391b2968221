"""A training's checkpoint: everything that changes, whole or not at all, and what it belongs to."""

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from arc_eval.errors import TrainingError
from arc_eval.training.recipe import OPERATION, Recipe
from arc_eval.training.task import Task


class Progressed(NamedTuple):
    """Steps done and seconds spent."""

    step: int
    seconds: float


def save(task: Task, path: Path, recipe: Recipe, done: Progressed, *, leads: bool) -> None:
    """Writes the checkpoint in the leading process; every process must ask. Raises TrainingError."""
    state = {name: learner.state_dict() for name, learner in task.learners.items()}
    if not leads:
        return
    content = io.BytesIO()
    saved = {"recipe": recipe.digest(), "stated": recipe.stated()}
    saved |= {"facts": dict(task.facts), **done._asdict()}
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


def restore(task: Task, path: Path, recipe: Recipe) -> Progressed:
    """Brings the task back to where it was, on any number of processes and in any number of parts.

    Raises TrainingError for a file that cannot be read, or is of another recipe, data or parents; the keys
    of `OPERATION` may differ.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise TrainingError(
            f"{path}: not a checkpoint that can be read ({error}); choose another --out"
        ) from error
    if saved["recipe"] != recipe.digest():
        _refuse_other(path, saved.get("stated"), recipe)
    changed = [name for name, fact in task.facts.items() if saved["facts"].get(name) != fact]
    if changed:
        raise TrainingError(
            f"{path}: {', '.join(changed)} changed since: these weights began from other data or parents; "
            "bring those back or choose another --out"
        )
    for name, learner in task.learners.items():
        learner.load_state_dict(saved["state"][name])
    return Progressed(int(saved["step"]), float(saved["seconds"]))


def _refuse_other(path: Path, before: Mapping[str, Any] | None, recipe: Recipe) -> None:
    """Raises TrainingError unless the recipes differ in keys of `OPERATION` alone; names what differs.

    before: what the checkpoint's recipe stated; None in an older one, which has its digest alone.
    """
    advice = "take that back (recipe or --set) or choose another --out"
    if before is None:
        raise TrainingError(f"{path} belongs to another recipe (or other --set values); {advice}")
    was, now = (dict(_leaves(stated)) for stated in (before, recipe.stated()))
    changed = [
        f"{key} was {was.get(key, 'its default')}, is now {now.get(key, 'its default')}"
        for key in dict.fromkeys([*was, *now])
        if key.split(".")[0] not in OPERATION and was.get(key) != now.get(key)
    ]
    if changed:
        raise TrainingError(f"{path} belongs to another recipe: {'; '.join(changed)}; {advice}")


def _leaves(stated: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in stated.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
