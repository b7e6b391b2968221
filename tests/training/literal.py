"""ARC and its baselines a second time: slow, literal, in float64, clip by clip, written from the equations.

Nothing here comes from the package. Every network is called with one clip at a time:

    velocity(x: float64[1, channel, frame], t: float64[1], c) -> float64[1, channel, frame]
    score(x: float64[1, channel, frame], s: float64[1], c) -> float64[1, logit], higher means more real

`c` is whatever the network reads as conditioning; `conditions[i]` belongs to clip i. Latents and noises
are float64[clip, channel, frame], times are float64[clip]; every function takes the same random numbers
that the training drew. Losses are scalars with their gradient, so `gradient` gives the gradient in any
parameters. Equations: arXiv 2505.08175 section 2 (ARC), arXiv 2405.14867 (DMD), arXiv 1611.04076 (LS).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor, Any], Tensor]


def noised(x0: Tensor, noise: Tensor, t: float) -> Tensor:
    """x_t = (1 - t) x_0 + t eps."""
    return (1 - t) * x0 + t * noise


def jump(velocity: Network, x0: Tensor, c: Any, noise: Tensor, t: float) -> Tensor:
    """G(x_t, t, c) = x_t - t v(x_t, t, c) for one clip: float64[channel, frame]."""
    x_t = noised(x0, noise, t)
    v = velocity(x_t[None], torch.tensor([t], dtype=torch.float64), c)[0]
    return x_t - t * v


def judged(score: Network, clip: Tensor, c: Any, noise: Tensor, s: float) -> list[Tensor]:
    """D(q(x_s | clip), s, c): the logits of one clip, one by one."""
    x_s = noised(clip, noise, s)
    logits = score(x_s[None], torch.tensor([s], dtype=torch.float64), c)[0]
    return [logits[number] for number in range(len(logits))]


def surprise(winner: Tensor, loser: Tensor) -> Tensor:
    """-log sigmoid(winner - loser) = log(1 + exp(loser - winner))."""
    return -torch.log(1 / (1 + torch.exp(-(winner - loser))))


def mean(values: Sequence[Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for value in values:
        total = total + value
    return total / len(values)


def gradient(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """d loss / d parameter, zeros where the loss does not depend on it."""
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True, retain_graph=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def rectified_flow_loss(
    velocity: Network, x0: Tensor, conditions: Sequence[Any], noise: Tensor, t: Tensor
) -> Tensor:
    """E || v - v_theta(x_t, t, c) ||^2 with v = eps - x_0, as a mean over every element."""
    errors = []
    for i in range(len(x0)):
        x_t = noised(x0[i], noise[i], float(t[i]))
        found = velocity(x_t[None], t[i : i + 1].double(), conditions[i])[0]
        errors.append(((noise[i] - x0[i] - found) ** 2).mean())
    return mean(errors)


def generator_loss(
    velocity: Network,
    score: Network,
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    noise_s: Tensor,
    s: Tensor,
) -> Tensor:
    """The student's step: softplus(D(real) - D(generated)), both noised by the same noise to the same s."""
    terms = []
    for i in range(len(x0)):
        c = conditions[i]
        clip = jump(velocity, x0[i], c, noise_t[i], float(t[i]))
        real = judged(score, x0[i], c, noise_s[i], float(s[i]))
        fake = judged(score, clip, c, noise_s[i], float(s[i]))
        terms += [surprise(winner=f, loser=r) for r, f in zip(real, fake, strict=True)]
    return mean(terms)


def discriminator_loss(
    velocity: Network,
    score: Network,
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    noise_s: Tensor,
    s: Tensor,
    wrong_conditions: Sequence[Any] | None = None,
    differs: Sequence[bool] = (),
    weight: float = 1.0,
) -> Tensor:
    """The discriminator's step, L_R + weight L_C; the generated clips are given, not trained.

    wrong_conditions[i]: clip i's conditioning with the caption of clip permutation[i]; clips whose other
    caption is the same (`differs` false) have no part in L_C. None leaves L_C out.
    """
    relativistic, contrastive = [], []
    for i in range(len(x0)):
        c = conditions[i]
        clip = jump(velocity, x0[i], c, noise_t[i], float(t[i])).detach()
        real = judged(score, x0[i], c, noise_s[i], float(s[i]))
        fake = judged(score, clip, c, noise_s[i], float(s[i]))
        relativistic += [surprise(winner=r, loser=f) for r, f in zip(real, fake, strict=True)]
        if wrong_conditions is not None and differs[i]:
            wrong = judged(score, x0[i], wrong_conditions[i], noise_s[i], float(s[i]))
            contrastive += [surprise(winner=r, loser=w) for r, w in zip(real, wrong, strict=True)]
    return mean(relativistic) + weight * mean(contrastive) if contrastive else mean(relativistic)


def least_squares_generator_loss(
    velocity: Network,
    score: Network,
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    noise_s: Tensor,
    s: Tensor,
) -> Tensor:
    """The ablation's student: (1 - D(generated))^2."""
    terms = []
    for i in range(len(x0)):
        clip = jump(velocity, x0[i], conditions[i], noise_t[i], float(t[i]))
        terms += [(1 - f) ** 2 for f in judged(score, clip, conditions[i], noise_s[i], float(s[i]))]
    return mean(terms)


def least_squares_discriminator_loss(
    velocity: Network,
    score: Network,
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    noise_s: Tensor,
    s: Tensor,
) -> Tensor:
    """The ablation's discriminator, without L_C: D(generated)^2 + (1 - D(real))^2."""
    terms = []
    for i in range(len(x0)):
        c = conditions[i]
        clip = jump(velocity, x0[i], c, noise_t[i], float(t[i])).detach()
        real = judged(score, x0[i], c, noise_s[i], float(s[i]))
        fake = judged(score, clip, c, noise_s[i], float(s[i]))
        terms += [f**2 + (1 - r) ** 2 for r, f in zip(real, fake, strict=True)]
    return mean(terms)


def gradient_penalty(
    score: Network, clips: Tensor, conditions: Sequence[Any], noise: Tensor, s: Tensor, push: Tensor
) -> Tensor:
    """One side: how the noised clip's logits change under a push of 0.05 N(0, I), squared and summed."""
    terms = []
    for i in range(len(clips)):
        x_s = noised(clips[i], noise[i], float(s[i]))
        time = s[i : i + 1].double()
        still, moved = (score(x[None], time, conditions[i])[0] for x in (x_s, x_s + 0.05 * push[i]))
        terms.append(((moved - still) ** 2).sum())
    return mean(terms)


def guided(velocity: Network, without: Callable[[Any], Any], scale: float) -> Network:
    """v_u + scale (v_c - v_u); `without` gives the unconditional form of a conditioning."""

    def both(x: Tensor, t: Tensor, c: Any) -> Tensor:
        free = velocity(x, t, without(c))
        return free + scale * (velocity(x, t, c) - free)

    return both


def matching_gradient(
    clips: Tensor,
    teacher: Network,
    fake: Network,
    conditions: Sequence[Any],
    noise: Tensor,
    t: Tensor,
) -> Tensor:
    """DMD: what the loss's gradient in the student's clips must be, float64[clip, channel, frame].

    (the fake network's data - the teacher's data) / mean |clip - the teacher's data|, over the number of
    elements because the loss is a mean.
    """
    gradients = torch.zeros_like(clips)
    for i in range(len(clips)):
        by_teacher = jump(teacher, clips[i], conditions[i], noise[i], float(t[i]))
        by_fake = jump(fake, clips[i], conditions[i], noise[i], float(t[i]))
        distance = (clips[i] - by_teacher).abs().sum() / clips[i].numel()
        gradients[i] = (by_fake - by_teacher) / distance / clips.numel()
    return gradients.detach()


def student_gradient(
    student: Network,
    parameters: Sequence[Tensor],
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    teacher: Network,
    fake: Network,
    noise_s: Tensor,
    s: Tensor,
) -> list[Tensor]:
    """DMD: the gradient of the whole student step, the matching gradient pulled back through the jump."""
    clips = torch.stack(
        [jump(student, x0[i], conditions[i], noise_t[i], float(t[i])) for i in range(len(x0))]
    )
    force = matching_gradient(clips.detach(), teacher, fake, conditions, noise_s, s)
    return gradient((clips * force).sum(), parameters)


def fake_score_loss(
    fake: Network,
    student: Network,
    x0: Tensor,
    conditions: Sequence[Any],
    noise_t: Tensor,
    t: Tensor,
    noise_s: Tensor,
    s: Tensor,
) -> Tensor:
    """DMD: the fake network's regression on the student's clips, which are given, not trained."""
    clips = [jump(student, x0[i], conditions[i], noise_t[i], float(t[i])).detach() for i in range(len(x0))]
    return rectified_flow_loss(fake, torch.stack(clips), conditions, noise_s, s)


def trajectory_loss(
    student: Network,
    points: Sequence[tuple[float, Tensor]],
    end: Tensor,
    conditions: Sequence[Any],
    chosen: Sequence[int],
) -> Tensor:
    """ODE warm-up: || x_t - t v(x_t, t, c) - x_end ||^2 at each clip's own point (t, x) of the way."""
    errors = []
    for i in range(len(end)):
        t, x = points[chosen[i]]
        v = student(x[i : i + 1], torch.tensor([t], dtype=torch.float64), conditions[i])[0]
        errors.append(((x[i] - t * v - end[i]) ** 2).mean())
    return mean(errors)
