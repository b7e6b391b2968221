"""However a batch is divided, among processes or in parts, the same weights are learnt."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from arc_eval.contracts import Progress, silent
from arc_eval.errors import TrainingError
from arc_eval.training.draw import Draw
from arc_eval.training.loop import train
from arc_eval.training.place import ALONE, Place, working_place
from arc_eval.training.recipe import Recipe, load_recipe

from .conftest import RATE, Written

STEPS, CUT = 5, 3
gloo = pytest.mark.skipif(sys.platform == "win32", reason="gloo needs other settings there")


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


class PowerCut(Exception):
    """Ends a training between two steps."""


def cut_after(steps: int) -> Progress:
    """Progress that ends a training after so many steps, of which the last are in no checkpoint."""

    @contextmanager
    def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if title.startswith("training") and done >= steps:
                raise PowerCut

        yield advance

    return progress


@dataclass(frozen=True)
class Job:
    """One training of several that the same processes do in turn."""

    out: Path
    recipe: Recipe
    cut: bool = False

    def do(self, cache: Path, place: Place = ALONE) -> None:
        """Goes on from what is there, to the end or to the cut."""
        progress = cut_after(CUT) if self.cut else silent
        with pytest.raises(PowerCut) if self.cut else nullcontext():
            train(self.recipe, self.out, resume=True, cache=cache, place=place, progress=progress)


def work(rank: int, processes: int, port: int, shards: int, cache: Path, *jobs: Job) -> None:
    """One of several processes, as torchrun would start it."""
    import os

    torch.set_num_threads(1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
    }
    with working_place("cpu", shards) as place:
        for job in jobs:
            job.do(cache, place)


def in_processes(processes: int, shards: int, cache: Path, *jobs: Job) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(work, (processes, port, shards, cache, *jobs), nprocs=processes)


@pytest.mark.parametrize("kind", ["pretrain", "arc", "distill", "regress"])
@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_in_parts_teaches_what_the_whole_teaches(
    kinds: dict[str, Path], kind: str, parts: int, cache: Path, tmp_path: Path
) -> None:
    for name, count in (("whole", 1), ("parts", parts)):
        train(load_recipe(kinds[kind], overrides(accumulate=count)), tmp_path / name, cache=cache)
    assert_equal(learnt(tmp_path / "parts"), learnt(tmp_path / "whole"))


@gloo
@pytest.mark.parametrize("kind", ["pretrain", "arc", "distill"])
@pytest.mark.parametrize("shards", [1, 2], ids=["copies", "shards"])
def test_two_processes_learn_what_one_learns(
    kinds: dict[str, Path], kind: str, shards: int, cache: Path, tmp_path: Path
) -> None:
    train(load_recipe(kinds[kind], overrides(accumulate=2)), tmp_path / "one", cache=cache)
    in_processes(2, shards, cache, Job(tmp_path / "two", load_recipe(kinds[kind], overrides(accumulate=2))))
    assert_equal(learnt(tmp_path / "two"), learnt(tmp_path / "one"))
    assert (tmp_path / "two" / "model" / "manifest.json").is_file()


@gloo
def test_one_process_goes_on_from_the_checkpoint_of_two(
    kinds: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    whole = load_recipe(kinds["arc"], overrides(accumulate=2))
    in_processes(2, 2, cache, Job(tmp_path / "both", whole))
    before = learnt(tmp_path / "both")
    # Its last step is done: nothing is left but to publish, from weights that were never in one process.
    train(whole, tmp_path / "both", resume=True, cache=cache)
    assert_equal(learnt(tmp_path / "both"), before)


@gloo
def test_three_processes_with_uneven_shares_and_one_go_on_from_each_other(
    kinds: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    """4 clips and rows of 32, of 4 and of 1 among 3 processes: some hold one more, some hold nothing."""
    recipe = load_recipe(kinds["arc"], overrides(accumulate=2, clip_norm=0.01))
    other = load_recipe(kinds["arc"], overrides(accumulate=4, clip_norm=0.01))
    one = Job(tmp_path / "one", recipe)
    one.do(cache)
    begun_by_one, begun_by_three = (Job(tmp_path / name, recipe, cut=True) for name in ("by one", "by three"))
    begun_by_one.do(cache)
    in_processes(3, 3, cache, begun_by_three, replace(begun_by_one, recipe=other, cut=False))
    replace(begun_by_three, recipe=other, cut=False).do(cache)
    for job in (begun_by_one, begun_by_three):
        assert_equal(learnt(job.out), learnt(one.out))


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_rows_are_divided_without_gap_or_overlap(processes: int, batch: int) -> None:
    rows = [Place(rank=rank, processes=processes).rows(batch) for rank in range(processes)]
    assert [row for part in rows for row in part] == list(range(batch))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


class Numbers(Draw):
    """Clips without content."""


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("batch", [3, 4, 7])
def test_every_process_makes_as_many_parts_as_the_others(processes: int, batch: int) -> None:
    draw = Numbers(clips=[str(clip) for clip in range(batch)])
    divided = [
        list(draw.parts(Place(rank=rank, processes=processes), 2, torch.float64)) for rank in range(processes)
    ]
    assert len({len(parts) for parts in divided}) == 1
    assert [clip for parts in divided for part in parts for clip in part.clips] == list(draw.clips)
    assert sum(part.share for parts in divided for part in parts) == pytest.approx(1)


def test_a_batch_of_fewer_clips_than_processes_is_refused(pretrain: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="batch: 4 clips cannot be divided among 5 processes"):
        train(load_recipe(pretrain), tmp_path, place=Place(rank=0, processes=5))
