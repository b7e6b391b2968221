"""Less memory or fewer bits change the cost of a training, not what it learns."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from arc_eval.errors import TrainingError
from arc_eval.training.draw import Contribution, Draw
from arc_eval.training.learner import Learner
from arc_eval.training.loop import train
from arc_eval.training.place import ALONE
from arc_eval.training.precision import GROWTH, LossScale
from arc_eval.training.recipe import Optimisation, Recipe, load_recipe

from .test_parallel import assert_equal, learnt


def weights(pretrain: Path, out: Path, cache: Path, *options: str) -> dict[str, Tensor]:
    train(load_recipe(pretrain, ["steps=3", *options]), out, cache=cache)
    return learnt(out)


def test_recomputed_activations_teach_the_same(pretrain: Path, cache: Path, tmp_path: Path) -> None:
    plain = weights(pretrain, tmp_path / "plain", cache, "precision=float64")
    saving = weights(pretrain, tmp_path / "saving", cache, "precision=float64", "checkpointing=true")
    assert_equal(saving, plain)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_teach_the_same(pretrain: Path, cache: Path, tmp_path: Path) -> None:
    plain = weights(pretrain, tmp_path / "plain", cache, "precision=float64", "steps=1")
    fast = weights(pretrain, tmp_path / "fast", cache, "precision=float64", "steps=1", "compile=true")
    assert_equal(fast, plain)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_nearly_the_same(
    pretrain: Path, cache: Path, tmp_path: Path, precision: str
) -> None:
    plain = weights(pretrain, tmp_path / "plain", cache)
    half = weights(pretrain, tmp_path / "half", cache, f"precision={precision}")
    rate = load_recipe(pretrain).optimiser.lr  # type: ignore[attr-defined]
    # Adam moves a weight by about the rate in each of the 3 steps, whatever the gradient's size.
    assert all(float((half[name] - plain[name]).abs().max()) < 8 * rate for name in plain)
    same = torch.cat([(half[name] - plain[name]).flatten() for name in plain]).square().mean().sqrt()
    assert 0 < float(same) < rate


def test_the_loss_scale_halves_on_overflow_and_doubles_after_many_good_updates() -> None:
    scale = LossScale("float16")
    start = scale.value
    assert not scale.accepts(finite=False)
    assert scale.value == start / 2
    assert all(scale.accepts(finite=True) for _ in range(GROWTH))
    assert scale.value == start
    kept = LossScale("float16")
    kept.load_state_dict(scale.state_dict())
    assert (kept.value, kept.good) == (scale.value, scale.good)


def test_a_nan_that_no_scale_can_help_is_let_through_to_the_loop() -> None:
    scale = LossScale("float16")
    while scale.value > 1:
        assert not scale.accepts(finite=False)
    assert scale.accepts(finite=False)
    assert LossScale("bfloat16").accepts(finite=False)
    assert LossScale("float32").value == 1


class Numbers(Draw):
    """Clips without content."""


@pytest.mark.parametrize(("value", "moves"), [(1.0, True), (math.inf, False), (math.nan, False)])
def test_an_update_with_a_broken_gradient_changes_nothing(value: float, moves: bool) -> None:
    layer = nn.Linear(2, 1)
    recipe = Recipe(reproduces="nothing", steps=1, batch=1, data={}, examples=1)
    learner = Learner(layer, Optimisation(lr=0.1, warmup=0), recipe, ALONE)
    before = [parameter.clone() for parameter in layer.parameters()]

    def loss(draw: Numbers) -> Contribution:
        found = value * layer(torch.ones(2)).sum()
        return Contribution(found, {"loss": found})

    figures = learner.learn(Numbers(clips=["a"]), loss, 0)
    changed = [not torch.equal(old, new) for old, new in zip(before, layer.parameters(), strict=True)]
    assert changed == [moves, moves]
    assert math.isfinite(figures["norm"]) == moves


def test_a_nan_ends_the_training_with_the_step_and_the_clips_that_made_it(
    pretrain: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arc_eval.training.pretrain import FlowDraw, PretrainTask

    loss = PretrainTask._loss

    def poisoned(self: PretrainTask, draw: FlowDraw) -> Contribution:
        found = loss(self, draw)
        return Contribution(found.loss * math.nan, {"loss": found.loss * math.nan})

    monkeypatch.setattr(PretrainTask, "_loss", poisoned)
    with pytest.raises(TrainingError, match=r"step 0: model: loss, norm not finite, .* validation-"):
        train(load_recipe(pretrain), tmp_path / "out", cache=cache)
