"""Small models for the tests of this folder."""

from typing import Any

import pytest

from arc_eval.models.config import ModelConfig
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.schema import parse_part
from arc_eval.models.weights import build_model


def oobleck(**part: Any) -> dict[str, Any]:
    return {"type": "oobleck", "config": {"channels": 2, "c_mults": [1, 2], "strides": [2, 4], **part}}


@pytest.fixture
def small_config() -> dict[str, Any]:
    """A words-conditioned model of a few thousand parameters, as `model_config.json` data."""
    return {
        "model_type": "diffusion_cond",
        "sample_size": 256,
        "sample_rate": 128,
        "audio_channels": 2,
        "model": {
            "pretransform": {
                "type": "autoencoder",
                "config": {
                    "encoder": oobleck(latent_dim=8),
                    "decoder": oobleck(latent_dim=4),
                    "bottleneck": {"type": "vae"},
                    "latent_dim": 4,
                    "downsampling_ratio": 8,
                    "io_channels": 2,
                },
            },
            "conditioning": {
                "configs": [
                    {
                        "id": "prompt",
                        "type": "words",
                        "config": {"vocabulary": 64, "max_length": 5, "width": 16, "depth": 1, "heads": 2},
                    },
                    {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 4}},
                ],
                "cond_dim": 16,
            },
            "diffusion": {
                "type": "dit",
                "diffusion_objective": "rectified_flow",
                "cross_attention_cond_ids": ["prompt", "seconds_total"],
                "global_cond_ids": ["seconds_total"],
                "config": {
                    "io_channels": 4,
                    "embed_dim": 64,
                    "depth": 3,
                    "num_heads": 2,
                    "cond_token_dim": 16,
                    "global_cond_dim": 16,
                    "attn_kwargs": {"qk_norm": "ln"},
                },
            },
            "io_channels": 4,
        },
    }


@pytest.fixture
def small_model(small_config: dict[str, Any]) -> LatentDiffusion:
    """Its random initialisation, official zeros included, in evaluation mode."""
    return build_model(parse_part(ModelConfig, small_config, "small"), seed=1).eval()
