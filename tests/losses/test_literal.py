"""The package's losses equal a slow, literal float64 implementation, in value and in gradient."""

from collections.abc import Callable
from math import log

import pytest
import torch
from torch import Tensor, nn

from arc_eval import flow
from arc_eval.losses import adversarial
from arc_eval.losses.distillation import distribution_matching_loss
from arc_eval.losses.penalty import Judged, gradient_penalty
from arc_eval.losses.rectified_flow import rectified_flow_loss
from arc_eval.losses.trajectory import follow, trajectory_loss
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.schedule import log_snr_times
from tests.training import literal

CLIPS, CHANNELS, FRAMES = 5, 3, 4
CAPTIONS = ["rain", "wind", "rain", "bell", "siren"]
EXACT = {"rtol": 1e-10, "atol": 1e-12}


class Velocity(nn.Module):
    """A small network in which every input matters to every output."""

    def __init__(self, draws: torch.Generator) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(CHANNELS, CHANNELS, generator=draws, dtype=torch.float64))
        self.along = nn.Parameter(torch.randn(FRAMES, FRAMES, generator=draws, dtype=torch.float64))
        self.time = nn.Parameter(torch.randn(CHANNELS, generator=draws, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        inner = self.mix @ x @ self.along + self.time[:, None] * t[:, None, None] + c[:, :, None]
        return torch.tanh(inner) + 0.3 * x


class Score(nn.Module):
    """Two logits for each clip."""

    def __init__(self, draws: torch.Generator) -> None:
        super().__init__()
        self.read = nn.Parameter(torch.randn(2, CHANNELS * FRAMES, generator=draws, dtype=torch.float64) / 3)
        self.ask = nn.Parameter(torch.randn(CHANNELS, 2, generator=draws, dtype=torch.float64))

    def forward(self, x: Tensor, s: Tensor, c: Tensor) -> Tensor:
        return torch.sin(x.flatten(1) @ self.read.T) + (c @ self.ask) * (1 + s[:, None])


DRAWS = torch.Generator().manual_seed(0)
STUDENT, TEACHER, FAKE = (Velocity(DRAWS) for _ in range(3))
SCORE = Score(DRAWS)
DATA, NOISE_T, NOISE_S, PUSH, PUSH_FAKE = torch.randn(
    5, CLIPS, CHANNELS, FRAMES, generator=DRAWS, dtype=torch.float64
)
T, S = torch.rand(2, CLIPS, generator=DRAWS, dtype=torch.float64)
C = torch.randn(CLIPS, CHANNELS, generator=DRAWS, dtype=torch.float64)
EACH = [C[i : i + 1] for i in range(CLIPS)]
PHI, PSI = list(STUDENT.parameters()), list(SCORE.parameters())
ARC = (STUDENT, SCORE, DATA, EACH, NOISE_T, T, NOISE_S, S)


def _generated() -> Tensor:
    x = flow.interpolate(DATA, NOISE_T, T)
    return flow.denoised(x, STUDENT(x, T, C), T)


def _score(clips: Tensor, c: Tensor = C) -> Tensor:
    return SCORE(flow.interpolate(clips, NOISE_S, S), S, c)


def _agree(ours: Tensor, expected: Tensor, parameters: list[nn.Parameter]) -> None:
    torch.testing.assert_close(ours, expected, **EXACT)
    found = torch.autograd.grad(ours, parameters)
    assert any(bool(part.any()) for part in found)
    for one, other in zip(found, literal.gradient(expected, parameters), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_rectified_flow_is_the_literal_loss() -> None:
    ours = rectified_flow_loss(lambda x, t: STUDENT(x, t, C), DATA, NOISE_T, T)
    _agree(ours, literal.rectified_flow_loss(STUDENT, DATA, EACH, NOISE_T, T), PHI)


def test_the_generators_step_is_the_literal_one() -> None:
    ours = adversarial.relativistic_loss(winner=_score(_generated()), loser=_score(DATA).detach())
    _agree(ours, literal.generator_loss(*ARC), PHI)


def test_the_discriminators_step_is_the_literal_one() -> None:
    other = adversarial.mismatch(CAPTIONS, torch.Generator().manual_seed(1))
    # One wrong caption that is no other, by hand: such a clip must have no part.
    other = adversarial.Mismatch(other.permutation, other.differs & (torch.arange(CLIPS) != 3))
    real, fake = _score(DATA), _score(_generated().detach())
    contrast = adversarial.contrastive_loss(real, _score(DATA, C[other.permutation]), other.differs)
    ours = adversarial.relativistic_loss(winner=real, loser=fake) + 0.7 * contrast
    wrong = [EACH[i] for i in other.permutation.tolist()]
    _agree(ours, literal.discriminator_loss(*ARC, wrong, other.differs.tolist(), 0.7), PSI)


def test_the_least_squares_steps_are_the_literal_ones() -> None:
    ours = adversarial.least_squares_generator_loss(_score(_generated()))
    _agree(ours, literal.least_squares_generator_loss(*ARC), PHI)
    ours = adversarial.least_squares_discriminator_loss(_score(DATA), _score(_generated().detach()))
    _agree(ours, literal.least_squares_discriminator_loss(*ARC), PSI)


def test_the_gradient_penalty_is_the_literal_one() -> None:
    sides = {"real": (DATA, PUSH), "fake": (_generated().detach(), PUSH_FAKE)}
    judged = {
        side: Judged(flow.interpolate(clips, NOISE_S, S), _score(clips), push)
        for side, (clips, push) in sides.items()
    }
    ours = gradient_penalty(lambda x: SCORE(x, S, C), **judged)
    halves = [
        literal.gradient_penalty(SCORE, clips, EACH, NOISE_S, S, push) for clips, push in sides.values()
    ]
    _agree(ours, (halves[0] + halves[1]) / 2, PSI)


def _without(c: Tensor) -> Tensor:
    return torch.zeros_like(c)


class Prompted(nn.Module):
    """A conditioning as guidance asks for one."""

    def __init__(self, cross: Tensor) -> None:
        super().__init__()
        self.cross = cross

    def without_prompt(self) -> "Prompted":
        return Prompted(_without(self.cross))

    def with_cross_of(self, other: "Prompted") -> "Prompted":
        return other

    def joined(self, other: "Prompted") -> "Prompted":
        return Prompted(torch.cat((self.cross, other.cross)))


GUIDED = guided(lambda x, t, c: TEACHER(x, t, c.cross), Prompted(C), 3.0)
GUIDED_LITERALLY = literal.guided(TEACHER, _without, 3.0)


def test_the_distilled_students_gradient_is_the_literal_one() -> None:
    loss = distribution_matching_loss(
        _generated(), NOISE_S, S, teacher=GUIDED, fake=lambda x, t: FAKE(x, t, C)
    )
    expected = literal.student_gradient(
        STUDENT, PHI, DATA, EACH, NOISE_T, T, GUIDED_LITERALLY, FAKE, NOISE_S, S
    )
    for one, other in zip(torch.autograd.grad(loss, PHI), expected, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_the_fake_score_networks_loss_is_the_literal_one() -> None:
    ours = rectified_flow_loss(lambda x, t: FAKE(x, t, C), _generated().detach(), NOISE_S, S)
    expected = literal.fake_score_loss(FAKE, STUDENT, DATA, EACH, NOISE_T, T, NOISE_S, S)
    _agree(ours, expected, list(FAKE.parameters()))


def test_trajectory_regression_is_the_literal_loss() -> None:
    times = log_snr_times(4).double()
    trajectory = follow(euler, GUIDED, NOISE_T, times)
    chosen = [0, 3, 1, 2, 0]
    ours = trajectory_loss(
        lambda x, t: flow.denoised(x, STUDENT(x, t, C), t), trajectory, torch.tensor(chosen)
    )
    points, x = [], NOISE_T
    for now, later in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        points.append((now, x))
        v = [GUIDED_LITERALLY(x[i : i + 1], torch.tensor([now]).double(), EACH[i]) for i in range(CLIPS)]
        x = x + (later - now) * torch.cat(v).detach()
    _agree(ours, literal.trajectory_loss(STUDENT, points, x, EACH, chosen), PHI)


LOSSES: dict[str, tuple[Callable[[], Tensor], list[nn.Parameter]]] = {
    "generator": (lambda: literal.generator_loss(*ARC), PHI),
    "discriminator": (
        lambda: literal.discriminator_loss(*ARC, EACH[1:] + EACH[:1], [True] * CLIPS, 1.0),
        PSI,
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_literal_gradients_are_the_slopes_of_the_literal_losses(name: str) -> None:
    loss, parameters = LOSSES[name]
    gradients = literal.gradient(loss(), parameters)
    width = 1e-6
    for parameter, gradient in zip(parameters, gradients, strict=True):
        place = int(gradient.abs().argmax())
        with torch.no_grad():
            flat, ends = parameter.view(-1), []
            for push in (width, -2 * width, width):
                flat[place] += push
                ends.append(loss().item())
        assert (ends[0] - ends[1]) / (2 * width) == pytest.approx(float(gradient.view(-1)[place]), rel=1e-6)


def test_at_a_tie_every_relativistic_term_costs_ln_2() -> None:
    def undecided(x: Tensor, s: Tensor, c: Tensor) -> Tensor:
        return x.new_zeros(1, 3)

    arc = (STUDENT, undecided, DATA, EACH, NOISE_T, T, NOISE_S, S)
    assert float(literal.generator_loss(*arc)) == pytest.approx(log(2), rel=1e-12)
    both = literal.discriminator_loss(*arc, EACH, [True] * CLIPS, 1.0)
    assert float(both) == pytest.approx(2 * log(2), rel=1e-12)


def test_both_solvers_are_followed_at_the_points_of_the_schedule() -> None:
    times = log_snr_times(5).double()
    for solver in (euler, dpmpp_2m):
        found = follow(solver, GUIDED, NOISE_T, times)
        torch.testing.assert_close(found.t, times[:-1, None].expand(-1, CLIPS), **EXACT)
        torch.testing.assert_close(found.x[0], NOISE_T, **EXACT)
        torch.testing.assert_close(found.end, solver(GUIDED, NOISE_T, times).detach(), **EXACT)
        assert not found.end.requires_grad
