"""A family small enough to be trained inside a test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SPECTRAL = {"n_fft": 1024, "hop": 512, "mels": 16, "hidden": 16, "blocks": 1, "latent_dim": 4}
DATA = {"kind": "synthetic", "split": "validation", "count": 12, "takes": 1, "seconds": 0.4}
COMMON = {
    "reproduces": "nothing: a test",
    "data": DATA,
    "examples": 12,
    "steps": 6,
    "batch": 4,
    "checkpoint_every": 2,
    "log_every": 1,
    "ema": 0.9,
}
RATE = {"lr": 1.0e-3, "warmup": 2}
DIFFUSION = {
    "conditioning": {
        "cond_dim": 16,
        "configs": [
            {
                "id": "prompt",
                "type": "words",
                "config": {"vocabulary": 64, "max_length": 6, "width": 16, "depth": 1, "heads": 2},
            },
            {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 16}},
        ],
    },
    "diffusion": {
        "type": "dit",
        "diffusion_objective": "rectified_flow",
        "cross_attention_cond_ids": ["prompt", "seconds_total"],
        "global_cond_ids": ["seconds_total"],
        "config": {
            "io_channels": 4,
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 1,
            "cond_token_dim": 16,
            "global_cond_dim": 16,
        },
    },
}

Written = Callable[[dict[str, Any]], Path]


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes a recipe file from the common keys and its own."""
    folder = tmp_path_factory.mktemp("recipes")

    def write(own: dict[str, Any]) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump({**COMMON, **own}))
        return path

    return write


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encoded data, computed once for all tests of the session."""
    return tmp_path_factory.mktemp("encoded")


@pytest.fixture(scope="session")
def autoencoder(recipes: Written, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained (for six steps) autoencoder's folder."""
    from arc_eval.training.loop import train
    from arc_eval.training.recipe import load_recipe

    recipe = load_recipe(
        recipes({"kind": "autoencoder", "model": SPECTRAL, "seconds": 0.4, "optimiser": RATE})
    )
    return train(recipe, tmp_path_factory.mktemp("autoencoder"), cache=cache)


@pytest.fixture(scope="session")
def pretrain(recipes: Written, autoencoder: Path) -> Path:
    """A pre-training recipe's file."""
    own = {"kind": "pretrain", "autoencoder": str(autoencoder), **DIFFUSION, "optimiser": RATE}
    return recipes(own)


@pytest.fixture(scope="session")
def teacher(pretrain: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-trained model's folder."""
    from arc_eval.training.loop import train
    from arc_eval.training.recipe import load_recipe

    return train(load_recipe(pretrain), tmp_path_factory.mktemp("teacher"), cache=cache)
