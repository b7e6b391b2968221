"""The discriminator: its lengths, its keys, its independence from the model it was copied from."""

import pytest
import torch

from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.discriminator import ConvHead, Discriminator, logit_count


@pytest.fixture
def conditioning() -> Conditioning:
    draws = torch.Generator().manual_seed(0)
    return Conditioning(torch.randn(2, 6, 16, generator=draws), torch.randn(2, 16, generator=draws))


def test_official_length_gives_thirteen_logits() -> None:
    assert logit_count(257, 4) == 13
    assert ConvHead(32)(torch.zeros(1, 32, 257)).shape == (1, 13)


def test_head_keys_are_the_official_ones() -> None:
    stems = [f"layers.{index}" for index in (0, 1, 3, 4, 6, 7, 9, 10, 12)]
    assert set(ConvHead(32).state_dict()) == {
        f"{stem}.{part}" for stem in stems for part in ("weight", "bias")
    }


def test_sequence_too_short_for_the_stages_is_refused() -> None:
    assert logit_count(45, 3) == 2
    assert ConvHead(32, stages=3)(torch.zeros(1, 32, 45)).shape == (1, 2)
    with pytest.raises(ValueError, match="45 tokens are too few for 4 halving stages"):
        ConvHead(32)(torch.zeros(1, 32, 45))


def test_width_that_does_not_divide_into_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="width 48 does not divide into 32"):
        ConvHead(48)


def test_logits_read_noise_time_and_prompt(small_model: LatentDiffusion, conditioning: Conditioning) -> None:
    torch.manual_seed(0)
    for parameter in small_model.dit.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    discriminator = Discriminator.of(small_model.dit, 1, stages=2)
    x, t = torch.randn(2, 4, 32), torch.full((2,), 0.5)
    logits = discriminator(x, t, conditioning)
    assert logits.shape == (2, logit_count(33, 2))
    for other in (
        discriminator(x + 1, t, conditioning),
        discriminator(x, t + 0.2, conditioning),
        discriminator(x, t, conditioning.without_prompt()),
    ):
        assert not torch.allclose(logits, other, atol=1e-4)


def test_training_it_leaves_the_model_alone(small_model: LatentDiffusion, conditioning: Conditioning) -> None:
    small_model.requires_grad_(False)
    discriminator = Discriminator.of(small_model.dit, 0, stages=2)
    assert discriminator.trunk.depth == 1
    assert small_model.dit.depth == 3
    discriminator(torch.randn(2, 4, 32), torch.ones(2), conditioning).sum().backward()
    trained = [p for p in discriminator.parameters() if p.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    assert all(parameter.grad is None for parameter in small_model.parameters())


def test_layer_that_does_not_exist_is_named(small_model: LatentDiffusion) -> None:
    with pytest.raises(ValueError, match="layer 3 does not exist"):
        Discriminator.of(small_model.dit, 3)
