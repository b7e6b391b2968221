"""However a batch is divided, among processes or in parts, the same weights are learnt."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from arc_eval.training.loop import train
from arc_eval.training.place import Place, working_place
from arc_eval.training.recipe import load_recipe

from .conftest import RATE, Written

STEPS = 5


@pytest.fixture(scope="module")
def kinds(recipes: Written, autoencoder: Path, teacher: Path, pretrain: Path) -> dict[str, Path]:
    """A recipe of each kind that can be divided."""
    common: dict[str, Any] = {
        "autoencoder": str(autoencoder),
        "teacher": str(teacher),
        "optimiser": RATE,
        "steps": STEPS,
    }
    walks = {"sampling_steps": 3, "every": 2}
    arc = {
        "kind": "arc",
        "discriminator_layer": 1,
        "head_stages": 1,
        "discriminator_optimiser": RATE,
        "gradient_penalty": 0.5,
        "warmup": {**walks, "steps": 2},
    }
    distill = {
        "kind": "distill",
        "head_layer": 1,
        "head_stages": 1,
        "fake_updates": 1,
        "fake_optimiser": RATE,
    }
    return {
        "pretrain": pretrain,
        "arc": recipes({**common, **arc}),
        "distill": recipes({**common, **distill, "fake_optimiser": RATE}),
        "regress": recipes({**common, "kind": "regress", "walks": walks}),
    }


def learnt(out: Path) -> dict[str, torch.Tensor]:
    """Every weight in a training's checkpoint, averages included."""
    saved = torch.load(out / "checkpoint.pt", weights_only=True)["state"]
    return {
        f"{learner}.{part}.{name}": tensor
        for learner, state in saved.items()
        for part in ("network", "average")
        if part in state
        for name, tensor in state[part].items()
    }


# In float64: Adam turns the rounding of a vanishing gradient into a whole step.
def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=0, atol=1e-6), name


def overrides(**options: Any) -> list[str]:
    return [f"{key}={value}" for key, value in {"steps": STEPS, "precision": "float64", **options}.items()]


def work(rank: int, port: int, shards: int, recipe: Path, out: Path, cache: Path) -> None:
    """One of two processes, as torchrun would start it."""
    import os

    torch.set_num_threads(1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
    }
    with working_place("cpu", shards) as place:
        train(load_recipe(recipe, overrides(accumulate=2)), out, cache=cache, place=place)


def in_two_processes(shards: int, recipe: Path, out: Path, cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(work, (port, shards, recipe, out, cache), nprocs=2)


@pytest.mark.parametrize("kind", ["pretrain", "arc", "distill", "regress"])
@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_in_parts_teaches_what_the_whole_teaches(
    kinds: dict[str, Path], kind: str, parts: int, cache: Path, tmp_path: Path
) -> None:
    for name, count in (("whole", 1), ("parts", parts)):
        train(load_recipe(kinds[kind], overrides(accumulate=count)), tmp_path / name, cache=cache)
    assert_equal(learnt(tmp_path / "parts"), learnt(tmp_path / "whole"))


@pytest.mark.skipif(sys.platform == "win32", reason="gloo needs other settings there")
@pytest.mark.parametrize("kind", ["pretrain", "arc", "distill"])
@pytest.mark.parametrize("shards", [1, 2], ids=["copies", "shards"])
def test_two_processes_learn_what_one_learns(
    kinds: dict[str, Path], kind: str, shards: int, cache: Path, tmp_path: Path
) -> None:
    train(load_recipe(kinds[kind], overrides(accumulate=2)), tmp_path / "one", cache=cache)
    in_two_processes(shards, kinds[kind], tmp_path / "two", cache)
    assert_equal(learnt(tmp_path / "two"), learnt(tmp_path / "one"))
    assert (tmp_path / "two" / "model" / "manifest.json").is_file()


def test_one_process_goes_on_from_the_checkpoint_of_two(
    kinds: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    in_two_processes(2, kinds["arc"], tmp_path / "both", cache)
    whole = load_recipe(kinds["arc"], overrides(accumulate=2))
    before = learnt(tmp_path / "both")
    # Its last step is done: nothing is left but to publish, from weights that were never in one process.
    train(whole, tmp_path / "both", resume=True, cache=cache)
    assert_equal(learnt(tmp_path / "both"), before)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_rows_are_divided_without_gap_or_overlap(processes: int, batch: int) -> None:
    rows = [Place(rank=rank, processes=processes).rows(batch) for rank in range(processes)]
    assert [row for part in rows for row in part] == list(range(batch))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
