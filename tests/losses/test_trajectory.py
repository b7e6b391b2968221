"""Regression onto trajectories: what is a point, whose it is, and when there is nothing left to learn."""

import pytest
import torch
from torch import Tensor

from arc_eval import flow
from arc_eval.losses.trajectory import Trajectory, draw_points, follow, trajectory_loss
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.schedule import log_snr_times

NOISE = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
DATA = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1))
TIMES = log_snr_times(6)


def towards_data(x: Tensor, t: Tensor) -> Tensor:
    return (x - DATA[: len(x)]) / flow.expand(t, x)


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("solver", [euler, dpmpp_2m])
def test_a_student_that_knows_the_end_has_no_loss_from_any_point(solver: object, clips: int) -> None:
    found = follow(solver, towards_data, NOISE[:clips], TIMES)  # type: ignore[arg-type]
    assert found.x.shape == (6, clips, 2, 4) and found.t.shape == (6, clips)
    torch.testing.assert_close(found.end, DATA[:clips], rtol=1e-4, atol=1e-4)
    for point in range(6):
        loss = trajectory_loss(
            lambda x, t: flow.denoised(x, towards_data(x, t), t), found, torch.full((clips,), point)
        )
        assert float(loss) < 1e-8


def test_each_clip_is_shown_its_own_point_and_time() -> None:
    t = torch.tensor([[1.0, 0.9, 0.8], [0.5, 0.4, 0.3]])
    x = torch.arange(6.0).reshape(2, 3, 1, 1)
    seen: list[Tensor] = []

    def student(x: Tensor, t: Tensor) -> Tensor:
        seen.extend((x.flatten(), t))
        return x

    trajectory_loss(student, Trajectory(t, x, torch.zeros(3, 1, 1)), torch.tensor([1, 0, 1]))
    assert seen[0].tolist() == [3, 1, 5]
    assert seen[1].tolist() == pytest.approx([0.5, 0.9, 0.3])


def test_the_loss_of_a_constant_miss_is_its_square() -> None:
    found = follow(euler, towards_data, NOISE, TIMES)
    loss = trajectory_loss(lambda x, t: found.end + 3, found, torch.zeros(3, dtype=torch.int64))
    assert float(loss) == pytest.approx(9)


def test_a_part_of_a_trajectory_is_the_trajectory_of_that_part() -> None:
    whole = follow(dpmpp_2m, towards_data, NOISE, TIMES)
    part, alone = whole.select(slice(0, 2)), follow(dpmpp_2m, towards_data, NOISE[:2], TIMES)
    for one, other in [(part.t, alone.t), (part.x, alone.x), (part.end, alone.end)]:
        torch.testing.assert_close(one, other)


def test_points_are_equally_likely_and_never_the_end() -> None:
    drawn = draw_points(6, 6000, torch.Generator().manual_seed(0))
    assert drawn.unique().tolist() == list(range(6))
    assert drawn.bincount().tolist() == pytest.approx([1000] * 6, rel=0.1)


def test_the_teacher_gets_no_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    assert not follow(euler, lambda x, t: weight * x, NOISE, TIMES).end.requires_grad
