"""Rectified-flow and distillation losses against their exact minima and gradients."""

import pytest
import torch
from torch import Tensor

from arc_eval.flow import expand
from arc_eval.losses.distillation import distribution_matching_gradient, distribution_matching_loss
from arc_eval.losses.rectified_flow import rectified_flow_loss

DRAWS = torch.Generator().manual_seed(0)
DATA, NOISE = torch.randn(2, 3, 4, 5, generator=DRAWS)
T = torch.tensor([0.2, 0.5, 0.9])


def test_exact_velocity_has_no_loss() -> None:
    assert float(rectified_flow_loss(lambda x, t: (x - DATA) / expand(t, x), DATA, NOISE, T)) < 1e-10


def test_loss_of_a_constant_error_is_its_square() -> None:
    assert float(rectified_flow_loss(lambda x, t: NOISE - DATA + 3, DATA, NOISE, T)) == pytest.approx(9)


def pointing_to(data: Tensor) -> object:
    return lambda x, t: (x - data) / expand(t, x)


def test_student_between_agreeing_networks_does_not_move() -> None:
    generated = DATA.clone().requires_grad_()
    network = pointing_to(DATA + 1)
    loss = distribution_matching_loss(generated, NOISE, T, network, network)
    loss.backward()
    assert loss.item() == 0
    assert not generated.grad.any()


def test_student_moves_from_the_fake_prediction_to_the_teachers() -> None:
    generated = DATA.clone().requires_grad_()
    loss = distribution_matching_loss(generated, NOISE, T, pointing_to(DATA + 2), pointing_to(DATA))
    loss.backward()
    # fake - teacher is -2 and the student is 2 away from the teacher's data: a unit step, averaged.
    assert torch.allclose(generated.grad, torch.full_like(DATA, -1 / DATA.numel()), rtol=1e-3)
    assert loss.item() == pytest.approx(0.5, rel=1e-3)


def test_gradient_is_measured_in_each_clips_own_distance() -> None:
    scale = torch.tensor([1.0, 10.0, 100.0])[:, None, None]
    gradient = distribution_matching_gradient(DATA, DATA + scale, DATA - scale)
    assert torch.allclose(gradient, torch.full_like(DATA, -2.0), rtol=1e-4)


def test_clip_that_the_teacher_leaves_alone_gives_a_finite_gradient() -> None:
    assert bool(torch.isfinite(distribution_matching_gradient(DATA, DATA, DATA)).all())


def test_networks_that_judge_get_no_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    generated = DATA.clone().requires_grad_()
    distribution_matching_loss(
        generated, NOISE, T, lambda x, t: weight * x, lambda x, t: -weight * x
    ).backward()
    assert weight.grad is None
    assert generated.grad is not None
