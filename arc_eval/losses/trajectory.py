"""Plain regression onto the ends of a teacher's trajectories: the warm-up before the adversarial game,
and by itself the simplest distilled baseline.

A teacher walks from noise to clean latents; the student is shown a point on the way and learns to jump
from there to where the teacher arrived. Source: the ODE warm-up of stable-audio-tools,
`training/arc.py`; as a baseline, arXiv 2101.02388 (knowledge distillation of samplers).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
"""(x float[clip, channel, frame], t float[clip]) to a tensor shaped like x, conditioning bound."""


@dataclass(frozen=True)
class Trajectory:
    """Where a teacher was on its way and where it arrived.

    t: float[point, clip]; x: float[point, clip, channel, frame]; end: float[clip, channel, frame].
    """

    t: Tensor
    x: Tensor
    end: Tensor

    def select(self, index: Tensor | slice) -> Self:
        """The chosen clips."""
        return type(self)(self.t[:, index], self.x[:, index], self.end[index])


@torch.no_grad()
def follow(
    sample: Callable[[Network, Tensor, Tensor], Tensor],
    velocity: Network,
    noise: Tensor,  # float[clip, channel, frame]
    times: Tensor,  # float[step + 1], falling to 0
) -> Trajectory:
    """The points at which `sample`, a solver of the path, asks the teacher for its velocity, and its result.

    For solvers that ask once a step (euler, dpmpp_2m) those are the points of the schedule but its end.
    """
    points: list[tuple[Tensor, Tensor]] = []

    def noted(x: Tensor, t: Tensor) -> Tensor:
        points.append((t, x))
        return velocity(x, t)

    end = sample(noted, noise, times)
    t, x = (torch.stack(values) for values in zip(*points, strict=True))
    return Trajectory(t, x, end)


def draw_points(points: int, clips: int, generator: torch.Generator) -> Tensor:
    """int64[clip] in 0..points - 1: each clip's own point of its trajectory, all equally likely."""
    return torch.randint(points, (clips,), generator=generator)


def trajectory_loss(
    denoise: Network,
    trajectory: Trajectory,
    chosen: Tensor,  # int64[clip]
) -> Tensor:
    """Mean squared error of denoise(x, t) at each clip's chosen point against the teacher's arrival."""
    chosen = chosen.to(trajectory.end.device)
    clips = torch.arange(len(chosen), device=chosen.device)
    return F.mse_loss(denoise(trajectory.x[chosen, clips], trajectory.t[chosen, clips]), trajectory.end)
