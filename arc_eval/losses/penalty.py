"""The optional gradient penalty of the discriminator: its logits should hardly move with its input.

Gradients are taken by finite differences, one more forward pass in place of a second derivative, so it
works under mixed precision, sharding and compilation. Source: stable-audio-tools, `training/arc.py`
(R1 and R2 of arXiv 2501.05441 in the finite form of arXiv 2501.08316); the paper itself has none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

SPREAD = 0.05
"""The standard deviation of the noise that the input is moved by."""


@dataclass(frozen=True)
class Judged:
    """What the discriminator saw and said, and the direction to move it in.

    x: float[clip, channel, frame], noised clips; logits: float[clip, logit] of them; noise: shaped like x,
    standard normal.
    """

    x: Tensor
    logits: Tensor
    noise: Tensor


def roughness(score: Callable[[Tensor], Tensor], judged: Judged) -> Tensor:
    """Mean over clips of the summed squared change of the logits when the input moves by SPREAD times noise.

    score: float[clip, channel, frame] to float[clip, logit], times and conditioning bound. For small steps
    the expectation is SPREAD squared times the squared norm of the gradient. Raises ValueError if a shape
    changes.
    """
    moved = score(judged.x + SPREAD * judged.noise)
    if moved.shape != judged.logits.shape:
        raise ValueError(f"logits are paired: {list(moved.shape)} against {list(judged.logits.shape)}")
    return (moved - judged.logits).square().sum(1).mean()


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Judged, fake: Judged) -> Tensor:
    """Mean of the roughness at recordings (R1) and at generated clips (R2); 0 for a constant score.

    score: float[clip, channel, frame] to float[clip, logit], times and conditioning bound.
    """
    return (roughness(score, real) + roughness(score, fake)) / 2
