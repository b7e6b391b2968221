"""Audio to latents and back: lengths, scale, the bottleneck's closed forms."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder_weights import load_autoencoder
from arc_eval.models.bottleneck import Posterior
from arc_eval.models.config import ModelConfig
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.schema import parse_part
from arc_eval.models.weights import build_model, save_model


def test_lengths_shrink_and_grow_by_the_ratio(small_model: LatentDiffusion) -> None:
    audio = torch.randn(2, 2, 256, generator=torch.Generator().manual_seed(0))
    latents = small_model.encode(audio)
    assert latents.shape == (2, *small_model.latent_shape) == (2, 4, 32)
    assert small_model.decode(latents).shape == audio.shape
    assert small_model.max_seconds == 2.0


def test_scale_divides_latents_and_is_undone_by_decoding(
    small_model: LatentDiffusion, small_config: dict[str, Any]
) -> None:
    small_config["model"]["pretransform"]["scale"] = 4.0
    scaled = build_model(parse_part(ModelConfig, small_config, "scaled"), seed=1)
    audio = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(0))
    latents = small_model.encode(audio)
    assert torch.allclose(scaled.encode(audio), latents / 4)
    assert torch.allclose(scaled.decode(latents / 4), small_model.decode(latents), atol=1e-6)


def spectral(config: dict[str, Any], **sizes: int) -> dict[str, Any]:
    part = {
        "type": "spectral",
        "config": {"n_fft": 16, "hop": 4, "mels": 3, "patch": 2, "hidden": 8, **sizes},
    }
    whole = config["model"]["pretransform"]["config"]
    whole["encoder"], whole["decoder"] = part, part
    return config


def test_spectral_autoencoder_stands_behind_the_same_interface(small_config: dict[str, Any]) -> None:
    model = build_model(parse_part(ModelConfig, spectral(small_config, latent_dim=4), "spectral"), seed=1)
    latents = model.encode(torch.randn(2, 2, 256, generator=torch.Generator().manual_seed(0)))
    assert latents.shape == (2, *model.latent_shape)
    assert model.decode(latents).shape == (2, 2, 256)


def test_spectral_sizes_that_contradict_the_model_are_named(small_config: dict[str, Any]) -> None:
    config = parse_part(ModelConfig, spectral(small_config, latent_dim=5), "spectral")
    with pytest.raises(CheckpointError, match=r"spectral encoder of 5 latent channels.*latent_dim 4"):
        build_model(config, seed=1)


def test_divergence_is_zero_for_the_standard_normal() -> None:
    standard = Posterior(torch.zeros(2, 3, 4), torch.ones(2, 3, 4))
    assert float(standard.divergence()) == 0


def test_divergence_of_shifted_normals_is_the_squared_shift_over_channels() -> None:
    shifted = Posterior(torch.full((2, 3, 4), 0.5), torch.ones(2, 3, 4))
    assert float(shifted.divergence()) == pytest.approx(3 * 0.25)


def test_deviation_is_softplus_of_the_scale() -> None:
    posterior = Posterior.of(torch.zeros(1, 2, 1))
    assert float(posterior.std) == pytest.approx(math.log(2) + 1e-4)


def test_sample_is_mean_plus_deviation_times_the_given_noise() -> None:
    posterior = Posterior(torch.tensor(2.0), torch.tensor(3.0))
    assert float(posterior.sample(torch.tensor(-1.0))) == -1.0


def test_a_whole_model_gives_the_autoencoder_that_it_holds(
    small_model: LatentDiffusion, tmp_path: Path
) -> None:
    save_model(small_model, tmp_path / "model", {})
    autoencoder, config = load_autoencoder(tmp_path / "model")
    for name, tensor in small_model.autoencoder.state_dict().items():
        assert torch.equal(autoencoder.state_dict()[name], tensor), name
    assert (config.sample_size, config.sample_rate) == (256, 128)
    assert config.model == small_model.config.model.pretransform.config
