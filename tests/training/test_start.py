"""Pre-training goes on from given weights, and says from which; what does not fit together is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from arc_eval.errors import CheckpointError, SuiteError
from arc_eval.models.weights import load_model, weights_digest
from arc_eval.training.loop import train
from arc_eval.training.pretrain import PretrainTask
from arc_eval.training.recipe import load_recipe

from .conftest import DIFFUSION, RATE, Written


def _task(recipe: Path, cache: Path, *options: str) -> PretrainTask:
    task = load_recipe(recipe, options).task(cache)
    assert isinstance(task, PretrainTask)
    return task


@pytest.fixture
def fine(recipes: Written, autoencoder: Path, teacher: Path) -> Path:
    """A recipe that says of the network no more than where it starts."""
    own = {"kind": "pretrain", "start": str(teacher), "autoencoder": str(autoencoder), "optimiser": RATE}
    return recipes(own)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_training_begins_with_the_weights_that_start_names(
    what: str, fine: Path, teacher: Path, cache: Path
) -> None:
    start = teacher if what == "folder" else teacher / "model.safetensors"
    task = _task(fine, cache, f"start={start}")
    given, began = load_model(teacher).state_dict(), task.model.state_dict()
    assert all(torch.equal(began[name], given[name]) for name in given)
    assert task.batches.scale == load_model(teacher).config.model.pretransform.scale


def test_fine_tuning_moves_network_and_conditioner_and_names_its_parent(
    fine: Path, teacher: Path, autoencoder: Path, cache: Path, tmp_path: Path
) -> None:
    model = train(load_recipe(fine), tmp_path, cache=cache)
    before, after = (load_file(folder / "model.safetensors") for folder in (teacher, model))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"model", "conditioner"}
    parents = json.loads((model / "manifest.json").read_text())["parents"]
    assert parents == {"autoencoder": weights_digest(autoencoder), "start": weights_digest(teacher)}


def test_a_recipe_that_states_the_starts_own_network_fits(
    fine: Path, pretrain: Path, teacher: Path, cache: Path
) -> None:
    stated = _task(pretrain, cache, f"start={teacher}")
    assert stated.model.config == _task(fine, cache).model.config


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("diffusion.config.depth=3", "diffusion"),
        ("conditioning.cond_dim=24", "conditioning"),
        ("latent_scale=123", "latent_scale"),
    ],
)
def test_a_recipe_that_states_another_network_than_the_start_is_refused(
    override: str, named: str, pretrain: Path, teacher: Path, cache: Path
) -> None:
    with pytest.raises(CheckpointError, match=f"its {named}.* is not what the recipe states"):
        _task(pretrain, cache, f"start={teacher}", override)


def test_without_a_start_the_network_must_be_stated(recipes: Written, autoencoder: Path) -> None:
    own = {"kind": "pretrain", "autoencoder": str(autoencoder), "optimiser": RATE}
    with pytest.raises(SuiteError, match="conditioning, diffusion: required, unless `start`"):
        load_recipe(recipes(own))


@pytest.mark.parametrize("objective", ["v", "rf_denoiser"])
def test_pre_training_learns_no_other_objective(
    objective: str, recipes: Written, autoencoder: Path, cache: Path
) -> None:
    family: dict[str, Any] = DIFFUSION
    other = {**family["diffusion"], "diffusion_objective": objective}
    own = {"kind": "pretrain", "autoencoder": str(autoencoder), "optimiser": RATE}
    with pytest.raises(CheckpointError, match=f"objective '{objective}'"):
        load_recipe(recipes({**own, **DIFFUSION, "diffusion": other})).task(cache)


@pytest.mark.parametrize("kind", ["pretrain", "arc"])
def test_latents_of_another_autoencoder_than_the_models_are_refused(
    kind: str, recipes: Written, autoencoder: Path, teacher: Path, cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(autoencoder, other)
    tensors = load_file(other / "model.safetensors")
    save_file({name: -tensor for name, tensor in tensors.items()}, other / "model.safetensors")
    own: dict[str, Any] = {"kind": kind, "autoencoder": str(other), "optimiser": RATE}
    arc = {
        "teacher": str(teacher),
        "discriminator_layer": 1,
        "head_stages": 1,
        "discriminator_optimiser": RATE,
    }
    own |= {"start": str(teacher)} if kind == "pretrain" else arc
    with pytest.raises(CheckpointError, match="is not the autoencoder of"):
        load_recipe(recipes(own)).task(cache)
    load_recipe(recipes({**own, "autoencoder": str(teacher)})).task(cache)
