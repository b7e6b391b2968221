"""Properties of the DiT that hold for any weights."""

import pytest
import torch
from torch import nn

from arc_eval.models.attention import Rotary, attend, rotate
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion


@pytest.fixture
def conditioning() -> Conditioning:
    draws = torch.Generator().manual_seed(0)
    return Conditioning(torch.randn(3, 6, 16, generator=draws), torch.randn(3, 16, generator=draws))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 4, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def awake(small_model: LatentDiffusion) -> LatentDiffusion:
    """The small model with its zero-initialised branches woken up."""
    draws = torch.Generator().manual_seed(2)
    for parameter in small_model.dit.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1, generator=draws)
    return small_model


def test_fresh_blocks_pass_the_stream_unchanged(
    small_model: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    t = torch.full((3,), 0.5)
    streams = [
        small_model.dit.hidden(x, t, conditioning.cross, conditioning.global_, layer) for layer in (0, 1, 2)
    ]
    assert torch.equal(streams[0], streams[2])
    assert torch.equal(streams[0][:, 1:], small_model.dit.transformer.project_in(x.transpose(1, 2)))


def test_velocity_follows_noise_time_and_prompt(
    awake: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    t = torch.full((3,), 0.5)
    out = awake.velocity(x, t, conditioning)
    assert out.shape == x.shape
    for other in (
        awake.velocity(x + 1, t, conditioning),
        awake.velocity(x, t + 0.1, conditioning),
        awake.velocity(x, t, conditioning.without_prompt()),
    ):
        assert not torch.allclose(out, other, atol=1e-3)


def test_clips_of_a_batch_do_not_see_one_another(
    awake: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    t = torch.tensor([0.1, 0.5, 0.9])
    together = awake.velocity(x, t, conditioning)
    alone = awake.velocity(x[1:2], t[1:2], conditioning.select(slice(1, 2)))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_output_keeps_the_input_precision_when_the_weights_are_bfloat16(
    awake: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    t = torch.full((3,), 0.5)
    full = awake.velocity(x, t, conditioning).detach()
    low = awake.to(torch.bfloat16).velocity(x, t, conditioning).detach()
    assert low.dtype == torch.float32
    assert float((low - full).norm() / full.norm()) < 0.05


def test_every_parameter_learns_after_the_first_step(
    awake: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    awake.velocity(x, torch.full((3,), 0.5), conditioning).square().mean().backward()
    silent = [
        name
        for name, parameter in awake.dit.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # A shift of all keys of a head moves every score alike, which softmax does not see.
    assert [name for name in silent if not name.endswith("cross_attn.k_norm.bias")] == []


def test_layer_that_does_not_exist_is_named(
    small_model: LatentDiffusion, x: torch.Tensor, conditioning: Conditioning
) -> None:
    with pytest.raises(ValueError, match="layer 3 does not exist: this DiT has blocks 0 to 2"):
        small_model.dit.hidden(x, torch.ones(3), conditioning.cross, conditioning.global_, 3)


def test_rotation_keeps_lengths_and_depends_on_distance_alone() -> None:
    draws = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 1, 1, 1, 64, generator=draws).expand(2, 1, 1, 9, 64)
    rotation = Rotary(64)(9)
    turned_query, turned_key = rotate(query, rotation), rotate(key, rotation)
    assert torch.allclose(turned_query.norm(dim=-1), query.norm(dim=-1))
    scores = (turned_query @ turned_key.transpose(-1, -2))[0, 0]
    assert torch.allclose(scores.diagonal(2), scores[0, 2].expand(7), atol=1e-4)
    assert torch.equal(turned_query[..., 32:], query[..., 32:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_positions_stay_exact_in_a_model_of_any_precision(
    small_model: LatentDiffusion, dtype: torch.dtype
) -> None:
    exact = Rotary(64)(1024)
    assert torch.equal(Rotary(64).to(dtype)(1024).cosine, exact.cosine)
    rotary = small_model.to(dtype).dit.transformer.rotary_pos_emb
    assert isinstance(rotary, Rotary)
    assert torch.equal(rotary(1024).sine, exact.sine)
    assert {buffer.dtype for buffer in rotary.buffers()} == {torch.float32}
    assert rotary.to("meta").inv_freq.is_meta


def test_attention_without_readable_context_elsewhere_returns_the_one_value() -> None:
    value = torch.randn(1, 1, 4, 8, generator=torch.Generator().manual_seed(4))
    readable = torch.tensor([False, False, True, False])[None, None, None]
    assert torch.allclose(attend(value, value, value, readable), value[:, :, 2:3].expand(1, 1, 4, 8))
