"""One whole update of each kind against the paper's equations, written out clip by clip in float64.

Compared are the loss and the gradient of every trained weight, so a step of any optimiser is the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.records.prompt import Prompt
from arc_eval.training.arc import ArcTask
from arc_eval.training.distill import DistillTask
from arc_eval.training.pretrain import PretrainTask
from arc_eval.training.recipe import load_recipe
from arc_eval.training.task import Task

from . import literal
from .conftest import RATE, Written


@pytest.fixture(scope="module")
def common(autoencoder: Path, teacher: Path) -> dict[str, Any]:
    parents = {"autoencoder": str(autoencoder), "teacher": str(teacher)}
    return {**parents, "optimiser": RATE, "precision": "float64", "clip_norm": 0.0, "accumulate": 2}


def awake(*networks: nn.Module) -> None:
    """Officially zero layers would make whole gradients vanish: every weight gets a random part."""
    stream = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for network in networks:
            for parameter in network.parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=stream, dtype=parameter.dtype)
                    parameter.add_(0.02 * noise)


def taken(task: Task, step: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, float], nn.Module]:
    """The draw of a step, its figures, and the network that holds its gradients, not yet moved by them."""
    turn = task.turn(step, torch.Generator().manual_seed(step))
    learner = task.learners[turn.learner]
    monkeypatch.setattr(learner, "_descend", lambda norm, step: None)
    figures = learner.learn(turn.draw, turn.loss, step)
    return turn.draw.part(range(len(turn.draw)), torch.device("cpu"), torch.float64), figures, learner.network


def rows(model: LatentDiffusion, prompts: Sequence[Prompt]) -> list[Conditioning]:
    """One conditioning for each prompt."""
    return [model.condition([prompt]) for prompt in prompts]


def velocity(model: LatentDiffusion) -> literal.Network:
    return lambda x, t, c: model.velocity(x, t, c)


def assert_gradients(network: nn.Module, loss: Tensor) -> None:
    trained = [parameter for parameter in network.parameters() if parameter.grad is not None]
    assert trained
    found = [parameter.grad.clone() for parameter in trained if parameter.grad is not None]
    for mine, theirs in zip(found, literal.gradient(loss, trained), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-7, atol=1e-10)


@pytest.fixture
def arc(recipes: Written, common: dict[str, Any], cache: Path) -> ArcTask:
    own = {"kind": "arc", "discriminator_layer": 1, "head_stages": 1, "discriminator_optimiser": RATE}
    task = load_recipe(recipes({**common, **own, "contrastive_weight": 0.7})).task(cache)
    assert isinstance(task, ArcTask)
    awake(task.student.model.dit, task.discriminator)
    return task


def test_a_student_step_of_arc_is_the_literal_one(arc: ArcTask, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, figures, network = taken(arc, 0, monkeypatch)
    model = arc.student.model
    loss = literal.generator_loss(
        velocity(model), arc.discriminator, draw.latents, rows(model, draw.prompts),
        draw.noise, draw.t, draw.renoise, draw.s,
    )  # fmt: skip
    assert figures["generator"] == pytest.approx(loss.item(), rel=1e-10)
    assert_gradients(network, loss)


def test_a_discriminator_step_of_arc_is_the_literal_one(
    arc: ArcTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, figures, network = taken(arc, 1, monkeypatch)
    model = arc.student.model
    loss = literal.discriminator_loss(
        velocity(model), arc.discriminator, draw.latents, rows(model, draw.prompts),
        draw.noise, draw.t, draw.renoise, draw.s,
        wrong_conditions=rows(model, draw.wrong), differs=draw.differs.tolist(), weight=0.7,
    )  # fmt: skip
    assert figures["discriminator"] + 0.7 * figures["contrastive"] == pytest.approx(loss.item(), rel=1e-10)
    assert_gradients(network, loss)


def test_a_step_of_pre_training_is_the_literal_one(
    recipes: Written, common: dict[str, Any], pretrain: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = load_recipe(pretrain, ["precision=float64", "clip_norm=0", "accumulate=3"]).task(cache)
    assert isinstance(task, PretrainTask)
    awake(task.model.dit)
    draw, figures, network = taken(task, 0, monkeypatch)
    conditions = [
        row.without_prompt() if dropped else row
        for row, dropped in zip(rows(task.model, draw.prompts), draw.dropped.tolist(), strict=True)
    ]
    loss = literal.rectified_flow_loss(velocity(task.model), draw.latents, conditions, draw.noise, draw.t)
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-10)
    assert_gradients(network, loss)


@pytest.fixture
def distill(recipes: Written, common: dict[str, Any], cache: Path) -> DistillTask:
    own = {"kind": "distill", "head_layer": 1, "head_stages": 1, "fake_updates": 1, "fake_optimiser": RATE}
    task = load_recipe(recipes({**common, **own, "adversarial_weight": 0.0, "guidance": 2.5})).task(cache)
    assert isinstance(task, DistillTask)
    awake(task.student.model.dit, task.fake.model.dit)
    return task


def test_a_student_step_of_distillation_is_the_literal_one(
    distill: DistillTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, _, network = taken(distill, 0, monkeypatch)
    model = distill.student.model
    trained = [parameter for parameter in network.parameters() if parameter.grad is not None]
    found = [parameter.grad.clone() for parameter in trained if parameter.grad is not None]
    teacher = literal.guided(velocity(distill.teacher), Conditioning.without_prompt, 2.5)
    expected = literal.student_gradient(
        velocity(model), trained, draw.latents, rows(model, draw.prompts), draw.noise, draw.level,
        teacher, velocity(distill.fake.model), draw.renoise, draw.t,
    )  # fmt: skip
    assert trained
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-7, atol=1e-10)


def test_a_fake_score_step_of_distillation_is_the_literal_one(
    distill: DistillTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, figures, network = taken(distill, 1, monkeypatch)
    model = distill.student.model
    loss = literal.fake_score_loss(
        velocity(distill.fake.model), velocity(model), draw.latents, rows(model, draw.prompts),
        draw.noise, draw.level, draw.renoise, draw.t,
    )  # fmt: skip
    assert figures["score"] == pytest.approx(loss.item(), rel=1e-10)
    assert_gradients(network, loss)
