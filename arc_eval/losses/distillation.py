"""Distribution-matching distillation: the student moves to where a teacher and a fake-score network agree.

The baseline in the style of Presto (arXiv 2410.05167), built from the parts of DMD2 (arXiv 2405.14867).
The fake-score network learns the student's own distribution with `rectified_flow_loss`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from arc_eval import flow


def distribution_matching_gradient(
    generated: Tensor,  # float[clip, channel, frame]
    by_teacher: Tensor,  # float[clip, channel, frame], data that the teacher sees in the noised clip
    by_fake: Tensor,  # float[clip, channel, frame], data that the fake-score network sees in it
) -> Tensor:
    """(by_fake - by_teacher) over each clip's mean |generated - by_teacher|: away from the teacher."""
    spread = (generated - by_teacher).abs().mean(dim=(1, 2), keepdim=True)
    # The floor only meets clips that the teacher leaves as they are, whose numerator is as small.
    return (by_fake - by_teacher) / spread.clamp_min(1e-5)


def distribution_matching_loss(
    generated: Tensor,  # float[clip, channel, frame], from the student, with gradient
    noise: Tensor,  # float[clip, channel, frame]
    t: Tensor,  # float[clip]
    teacher: Callable[[Tensor, Tensor], Tensor],
    fake: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """A squared error whose gradient in `generated` is the matching gradient over the element count.

    teacher, fake: velocities of (x, t), conditioning (and the teacher's guidance) bound; neither gets
    a gradient. The value is half the mean square of the gradient, 0 where the two agree.
    """
    with torch.no_grad():
        x = flow.interpolate(generated, noise, t)
        gradient = distribution_matching_gradient(
            generated, flow.denoised(x, teacher(x, t), t), flow.denoised(x, fake(x, t), t)
        )
        expected = generated - gradient
    return 0.5 * F.mse_loss(generated, expected)
