"""A small random model and suites around it, for tests that run the real pipeline in a second."""

import copy
from pathlib import Path
from typing import Any

import torch
import yaml

from arc_eval.models.config import ModelConfig
from arc_eval.models.schema import parse_part
from arc_eval.models.weights import build_model, save_model

SECONDS = 0.25


def oobleck(**part: Any) -> dict[str, Any]:
    return {"type": "oobleck", "config": {"channels": 4, "c_mults": [1, 2], "strides": [4, 4], **part}}


CONFIG: dict[str, Any] = {
    "model_type": "diffusion_cond",
    "sample_size": 2048,
    "sample_rate": 8000,
    "audio_channels": 2,
    "model": {
        "pretransform": {
            "type": "autoencoder",
            "config": {
                "encoder": oobleck(latent_dim=8),
                "decoder": oobleck(latent_dim=4),
                "bottleneck": {"type": "vae"},
                "latent_dim": 4,
                "downsampling_ratio": 16,
                "io_channels": 2,
            },
        },
        "conditioning": {
            "configs": [
                {
                    "id": "prompt",
                    "type": "words",
                    "config": {"vocabulary": 64, "max_length": 8, "width": 16, "depth": 1, "heads": 2},
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
                "depth": 2,
                "num_heads": 2,
                "cond_token_dim": 16,
                "global_cond_dim": 16,
            },
        },
        "io_channels": 4,
    },
}


def save_random_model(folder: Path, seed: int = 0, *, objective: str = "rectified_flow") -> Path:
    """A model folder whose every weight is random: freshly initialised ones start as the identity."""
    config = copy.deepcopy(CONFIG)
    config["model"]["diffusion"]["diffusion_objective"] = objective
    model = build_model(parse_part(ModelConfig, config, "the test's configuration"), seed)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=stream))
    save_model(model, folder, {"recipe": "random", "seed": seed})
    return folder


def suite_data(model: Path, **changes: Any) -> dict[str, Any]:
    """Two variants of one model, both controls, two extractors; six prompts of a quarter second."""
    source = {"kind": "synthetic", "seconds": SECONDS, "takes": 2}
    latent = {"kind": "latent", "weights": str(model)}
    return {
        "name": "tiny",
        "seed": 7,
        "takes": 2,
        "prompts": {**source, "split": "test", "count": 6},
        "reference": {**source, "split": "reference", "count": 12},
        "controls": {"recordings": "ceiling", "shuffled": "floor"},
        "generators": {
            "many-steps": {**latent, "sampler": "euler", "steps": 3, "guidance": 2.0},
            "few-steps": {**latent, "sampler": "pingpong", "steps": 2},
        },
        "extractors": {"mel": {"kind": "mel"}, "health": {"kind": "health"}},
        "metrics": [
            {"kind": "frechet", "extractor": "mel"},
            {"kind": "diversity", "extractor": "mel"},
            {"kind": "health", "extractor": "health"},
        ],
        **changes,
    }


def write_suite(path: Path, data: dict[str, Any]) -> Path:
    """The data as a suite file."""
    path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
    return path
