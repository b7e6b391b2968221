"""Guidance as an extrapolation between two known velocities."""

from dataclasses import dataclass
from typing import Self

import pytest
import torch
from torch import Tensor

from arc_eval.samplers.guidance import guided
from arc_eval.samplers.paths import COSINE, STRAIGHT, Path


@dataclass(frozen=True)
class Direction:
    """A conditioning whose velocity is itself; without a prompt it is the first axis."""

    vectors: Tensor

    def without_prompt(self) -> Self:
        return type(self)(torch.zeros_like(self.vectors) + torch.tensor([1.0, 0.0]).to(self.vectors)[:, None])

    def with_cross_of(self, other: Self) -> Self:
        return other

    def joined(self, other: Self) -> Self:
        return type(self)(torch.cat((self.vectors, other.vectors)))


X = torch.zeros(1, 2, 3)
HERE = torch.tensor([0.5])
PROMPT = Direction(torch.tensor([2.0, 4.0])[None, :, None].expand(1, 2, 3))


class Network:
    """Counts its calls."""

    calls = 0
    clips = 0

    def __call__(self, x: Tensor, t: Tensor, conditioning: Direction) -> Tensor:
        self.calls += 1
        self.clips += len(x)
        assert len(x) == len(t) == len(conditioning.vectors)
        return conditioning.vectors


@pytest.mark.parametrize("scale", [0.0, 0.5, 4.0])
def test_velocity_lies_on_the_line_through_both_predictions(scale: float) -> None:
    out = guided(Network(), PROMPT, scale)(X, HERE)
    assert out[0, :, 0].tolist() == [1 + scale * (2 - 1), scale * 4]


def test_both_predictions_come_from_one_call() -> None:
    network = Network()
    guided(network, PROMPT, 4.0)(X, HERE)
    assert (network.calls, network.clips) == (1, 2)


def test_scale_one_costs_one_prediction() -> None:
    network = Network()
    assert torch.equal(guided(network, PROMPT, 1.0)(X, HERE), PROMPT.vectors)
    assert network.clips == 1


def test_outside_the_interval_the_prompted_velocity_is_returned() -> None:
    velocity = guided(Network(), PROMPT, 4.0, interval=(0.6, 0.9))
    assert torch.equal(velocity(X, HERE), PROMPT.vectors)
    assert not torch.equal(velocity(X, torch.tensor([0.7])), PROMPT.vectors)


def test_full_rescaling_gives_the_spread_of_the_prompted_velocity() -> None:
    out = guided(Network(), PROMPT, 4.0, rescale=1.0)(X, HERE)
    assert torch.allclose(out.std(dim=1), PROMPT.vectors.std(dim=1))


def test_a_negative_prompt_takes_the_place_of_no_prompt() -> None:
    negative = Direction(torch.tensor([-1.0, 3.0])[None, :, None].expand(1, 2, 3))
    out = guided(Network(), PROMPT, 4.0, negative=negative)(X, HERE)
    assert out[0, :, 0].tolist() == [-1 + 4 * (2 + 1), 3 + 4 * (4 - 3)]


def test_the_prompts_themselves_can_be_exchanged() -> None:
    """At scale 0 only the negative speaks, and at scale s the roles are those of 1 - s."""
    negative = Direction(torch.tensor([-1.0, 3.0])[None, :, None].expand(1, 2, 3))
    assert torch.equal(guided(Network(), PROMPT, 0.0, negative=negative)(X, HERE), negative.vectors)
    one, other = (
        guided(Network(), a, scale, negative=b)(X, HERE)
        for a, b, scale in ((PROMPT, negative, 4.0), (negative, PROMPT, -3.0))
    )
    assert torch.allclose(one, other)


def test_the_interval_is_one_of_noise_levels_not_of_times() -> None:
    """On the cosine path time 0.5 has noise level sin(pi / 4) = 0.707."""
    velocity = guided(Network(), PROMPT, 4.0, path=COSINE, interval=(0.6, 0.8))
    assert not torch.equal(velocity(X, HERE), PROMPT.vectors)
    assert torch.equal(velocity(X, torch.tensor([0.7])), PROMPT.vectors)


def test_the_default_interval_holds_both_ends_of_both_paths() -> None:
    for path in (STRAIGHT, COSINE):
        for t in (0.0, 1.0):
            assert not torch.equal(
                guided(Network(), PROMPT, 4.0, path=path)(X, torch.tensor([t])), PROMPT.vectors
            )


DRAWS = torch.Generator().manual_seed(0)
CLIPS = Direction(torch.randn(3, 2, 5, generator=DRAWS, dtype=torch.float64))
PLACE = torch.randn(3, 2, 5, generator=DRAWS, dtype=torch.float64)
TIMES = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
PATHS = pytest.mark.parametrize("path", [STRAIGHT, COSINE])


def data(path: Path, scale: float, **options: float) -> Tensor:
    """The data that the guided velocity points to: float[clip, channel, frame]."""
    return path.data(PLACE, guided(Network(), CLIPS, scale, path=path, **options)(PLACE, TIMES), TIMES)


def scales(a: Tensor, b: Tensor) -> Tensor:
    """Each clip's inner product over channel and frame."""
    return (a * b).sum(dim=(1, 2))


@PATHS
def test_full_projection_moves_the_data_at_right_angles_to_itself(path: Path) -> None:
    with_prompt = data(path, 1.0)
    moved = data(path, 6.0, apg=1.0) - with_prompt
    assert torch.allclose(scales(moved, with_prompt), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert float(moved.norm()) > 1


@PATHS
def test_projection_is_the_published_formula_in_data(path: Path) -> None:
    seen, unseen = data(path, 1.0), data(path, 0.0)
    difference = seen - unseen
    along = (scales(difference, seen) / scales(seen, seen))[:, None, None] * seen
    for share in (0.3, 1.0):
        expected = seen + 5.0 * (share * (difference - along) + (1 - share) * difference)
        assert torch.allclose(data(path, 6.0, apg=share), expected)


@PATHS
def test_a_difference_is_shortened_to_the_cap_in_data_and_a_short_one_is_left(path: Path) -> None:
    seen, plain = data(path, 1.0), data(path, 3.0) - data(path, 1.0)
    assert torch.allclose(data(path, 3.0, apg_norm=1e6) - seen, plain)
    capped = data(path, 3.0, apg_norm=0.01) - seen
    assert torch.allclose(capped.flatten(1).norm(dim=1), torch.full((3,), 2 * 0.01, dtype=torch.float64))
    assert torch.allclose(scales(capped, plain), capped.flatten(1).norm(dim=1) * plain.flatten(1).norm(dim=1))


def test_a_clip_is_projected_by_itself() -> None:
    whole = guided(Network(), CLIPS, 6.0, apg=1.0, apg_norm=0.5)(PLACE, TIMES)
    for clip in range(3):
        own = slice(clip, clip + 1)
        alone = guided(Network(), Direction(CLIPS.vectors[own]), 6.0, apg=1.0, apg_norm=0.5)
        assert torch.allclose(alone(PLACE[own], TIMES[own]), whole[own])


def test_rescaling_acts_after_projection() -> None:
    out = guided(Network(), CLIPS, 6.0, apg=1.0, rescale=1.0)(PLACE, TIMES)
    projected = guided(Network(), CLIPS, 6.0, apg=1.0)(PLACE, TIMES)
    assert torch.allclose(out.std(dim=1), CLIPS.vectors.std(dim=1))
    assert torch.allclose(out / projected, (out / projected)[:, :1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_projection_keeps_the_precision_it_is_given_and_survives_silence(dtype: torch.dtype) -> None:
    clips = Direction(CLIPS.vectors.to(dtype))
    out = guided(Network(), clips, 6.0, apg=1.0, apg_norm=2.0)(PLACE.to(dtype), TIMES.to(dtype))
    assert out.dtype == dtype
    silent = Direction(torch.zeros(1, 2, 3, dtype=dtype))
    assert guided(Network(), silent, 6.0, apg=1.0)(X.to(dtype), HERE.to(dtype)).isfinite().all()
