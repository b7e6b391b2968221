"""Rectified-flow regression: the network's velocity at a point of the path against the path's own."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from arc_eval import flow


def rectified_flow_loss(
    velocity: Callable[[Tensor, Tensor], Tensor],
    data: Tensor,  # float[clip, channel, frame]
    noise: Tensor,  # float[clip, channel, frame]
    t: Tensor,  # float[clip]
) -> Tensor:
    """Mean squared error of velocity(x_t, t) against noise - data; 0 for the exact velocity.

    Also the loss of the fake-score network of a distilled student, with its clips as `data`.
    Source: arXiv 2505.08175 section 2.1.
    """
    x = flow.interpolate(data, noise, t)
    return F.mse_loss(velocity(x, t), flow.velocity(data, noise))
