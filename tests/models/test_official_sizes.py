"""Parameter counts of the published models, built from the shipped configurations without memory."""

import pytest
from torch import nn

from arc_eval.models.config import load_config
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.discriminator import Discriminator
from arc_eval.models.files import model_files
from arc_eval.models.state import WithoutWeights


def official(name: str) -> LatentDiffusion:
    with WithoutWeights():
        return LatentDiffusion(load_config(model_files(f"random/{name}").config))


@pytest.fixture(scope="module")
def small() -> LatentDiffusion:
    return official("stable-audio-open-small")


@pytest.fixture(scope="module")
def large() -> LatentDiffusion:
    return official("stable-audio-open-1.0")


def elements(module: nn.Module) -> int:
    """The zero shifts of the norms count, as they did in the published number; rotary frequencies do not."""
    return sum(
        tensor.numel() for name, tensor in module.state_dict().items() if not name.endswith("inv_freq")
    )


def test_dit_and_number_embedder_have_the_published_size(small: LatentDiffusion) -> None:
    assert elements(small.dit) + elements(small.conditioner) == 341_126_912


def test_autoencoder_has_the_published_size(small: LatentDiffusion) -> None:
    assert elements(small.autoencoder) == 156_112_514


def test_checkpoint_has_the_published_number_of_tensors(small: LatentDiffusion) -> None:
    assert len(small.state_dict()) == 750


def test_discriminator_has_the_published_size(small: LatentDiffusion) -> None:
    discriminator = Discriminator.of(small.dit, 11)
    assert elements(discriminator.head) == 16_793_601
    assert round(elements(discriminator) / 1e6) == 274


def test_the_first_model_s_dit_and_number_embedders_have_the_published_size(large: LatentDiffusion) -> None:
    assert elements(large.dit) + elements(large.conditioner) == 1_057_335_680


def test_both_models_have_one_autoencoder(small: LatentDiffusion, large: LatentDiffusion) -> None:
    assert small.config.model.pretransform == large.config.model.pretransform


@pytest.mark.parametrize(
    ("name", "objective", "seconds"),
    [
        ("stable-audio-open-small", "rf_denoiser", 11.8886),
        ("stable-audio-open-small-base", "rectified_flow", 11.8886),
        ("stable-audio-open-1.0", "v", 47.5545),
    ],
)
def test_shipped_configurations_say_how_the_model_is_sampled(
    name: str, objective: str, seconds: float
) -> None:
    model = official(name)
    assert model.objective == objective
    assert model.max_seconds == pytest.approx(seconds, abs=1e-4)


def test_the_model_before_post_training_has_the_same_network(small: LatentDiffusion) -> None:
    base = official("stable-audio-open-small-base")
    assert base.config.model.diffusion.config == small.config.model.diffusion.config
    assert base.config.model.conditioning == small.config.model.conditioning
