"""Every kind of training changes what it should, keeps frozen what it should, and lowers its loss."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from arc_eval.errors import CheckpointError
from arc_eval.models.weights import load_model
from arc_eval.training.arc import ArcTask
from arc_eval.training.loop import train, update
from arc_eval.training.recipe import load_recipe

from .conftest import RATE, SPECTRAL, Written

STUDENT = {
    "arc": {"discriminator_layer": 1, "head_stages": 1, "discriminator_optimiser": RATE},
    "distill": {"head_layer": 1, "head_stages": 1, "fake_updates": 1, "fake_optimiser": RATE},
}


def _student(kind: str, teacher: Path, autoencoder: Path, recipes: Written, **own: Any) -> Path:
    parents = {"teacher": str(teacher), "autoencoder": str(autoencoder)}
    return recipes({"kind": kind, **parents, **STUDENT[kind], "optimiser": RATE, **own})


@pytest.mark.parametrize("kind", ["arc", "distill"])
def test_post_training_moves_the_dit_and_nothing_else(
    kind: str, teacher: Path, autoencoder: Path, recipes: Written, cache: Path, tmp_path: Path
) -> None:
    student = train(load_recipe(_student(kind, teacher, autoencoder, recipes)), tmp_path, cache=cache)
    before, after = (load_file(folder / "model.safetensors") for folder in (teacher, student))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"model"}
    assert load_model(student).objective == "rf_denoiser"


@pytest.mark.parametrize("kind", ["arc", "distill"])
def test_a_checkpoint_before_a_networks_first_update_changes_nothing(
    kind: str, teacher: Path, autoencoder: Path, recipes: Written, cache: Path, tmp_path: Path
) -> None:
    recipes_ = [
        load_recipe(_student(kind, teacher, autoencoder, recipes, checkpoint_every=every))
        for every in (1, 1000)
    ]
    often, seldom = (
        load_file(train(recipe, tmp_path / str(place), cache=cache) / "model.safetensors")
        for place, recipe in enumerate(recipes_)
    )
    assert all(torch.equal(often[name], seldom[name]) for name in often)


@pytest.mark.parametrize("kind", ["arc", "distill"])
def test_a_training_cut_after_its_first_step_goes_on_to_the_same_weights(
    kind: str,
    teacher: Path,
    autoencoder: Path,
    recipes: Written,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = load_recipe(_student(kind, teacher, autoencoder, recipes, checkpoint_every=1))
    task = type(recipe.task(cache))
    turn = task.turn

    def power_cut(self: Any, number: int, rng: torch.Generator) -> object:
        if number == 1:
            raise KeyboardInterrupt
        return turn(self, number, rng)

    whole = load_file(train(recipe, tmp_path / "whole", cache=cache) / "model.safetensors")
    monkeypatch.setattr(task, "turn", power_cut)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "cut", cache=cache)
    monkeypatch.undo()
    resumed = train(recipe, tmp_path / "cut", cache=cache, resume=True)
    after = load_file(resumed / "model.safetensors")
    assert all(torch.equal(whole[name], after[name]) for name in whole)


@pytest.mark.parametrize("kind", ["arc", "distill"])
def test_a_student_is_not_a_teacher(
    kind: str, teacher: Path, autoencoder: Path, recipes: Written, cache: Path, tmp_path: Path
) -> None:
    recipe = _student(kind, teacher, autoencoder, recipes)
    student = train(load_recipe(recipe), tmp_path / "first", cache=cache)
    again = load_recipe(_student(kind, student, autoencoder, recipes))
    with pytest.raises(CheckpointError, match="rectified_flow"):
        train(again, tmp_path / "second", cache=cache)


def test_generator_and_discriminator_take_turns_and_leave_each_other_alone(
    teacher: Path, autoencoder: Path, recipes: Written, cache: Path
) -> None:
    task = load_recipe(_student("arc", teacher, autoencoder, recipes)).task(cache)
    assert isinstance(task, ArcTask)
    for step, mover, other in [
        (0, task.student.model.dit, task.discriminator),
        (1, task.discriminator, task.student.model.dit),
    ]:
        before = [[p.clone() for p in part.parameters()] for part in (mover, other)]
        update(task, step, torch.Generator().manual_seed(step))
        after = [list(part.parameters()) for part in (mover, other)]
        assert any(not torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
        assert all(torch.equal(a, b) for a, b in zip(before[1], after[1], strict=True))


@pytest.mark.parametrize(("share", "fixed"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_a_share_of_the_batch_starts_where_sampling_does(
    share: float, fixed: int, teacher: Path, autoencoder: Path, recipes: Written, cache: Path
) -> None:
    task, plain = (
        load_recipe(_student("arc", teacher, autoencoder, recipes, batch=4, pure_noise=each)).task(cache)
        for each in (share, 0.0)
    )
    draw, other = (each.turn(0, torch.Generator().manual_seed(1)).draw for each in (task, plain))
    assert draw.t.eq(1).tolist() == [clip < fixed for clip in range(4)]
    assert torch.equal(draw.t[fixed:], other.t[fixed:])
    assert torch.equal(draw.noise, other.noise) and torch.equal(draw.s, other.s)


def test_without_the_contrastive_term_no_caption_is_exchanged(
    teacher: Path, autoencoder: Path, recipes: Written, cache: Path
) -> None:
    own = {"contrastive_weight": 0.0}
    task = load_recipe(_student("arc", teacher, autoencoder, recipes, **own)).task(cache)
    assert "contrastive" not in update(task, 1, torch.Generator().manual_seed(0))


def test_the_autoencoder_learns_to_reconstruct(recipes: Written, cache: Path, tmp_path: Path) -> None:
    own = {"kind": "autoencoder", "model": SPECTRAL, "seconds": 0.4, "steps": 60, "optimiser": RATE}
    train(load_recipe(recipes(own)), tmp_path, cache=cache)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["level"] < 0.6 * log[0]["level"]


@pytest.mark.parametrize("kind", ["tagger", "clap"])
def test_the_extractors_learn(kind: str, recipes: Written, cache: Path, tmp_path: Path) -> None:
    front = {"n_fft": 1024, "hop": 512, "mels": 16, "width": 16, "blocks": 1, "features": 8}
    model = (
        front
        if kind == "tagger"
        else {
            "audio": front,
            "text": {"vocabulary": 64, "max_length": 6, "width": 16, "depth": 1, "heads": 2},
        }
    )
    own = {"kind": kind, "model": model, "seconds": 0.4, "steps": 60, "optimiser": {"lr": 5e-3, "warmup": 2}}
    train(load_recipe(recipes(own)), tmp_path, cache=cache)
    log = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum(log[-5:]) < 0.8 * sum(log[:5])
