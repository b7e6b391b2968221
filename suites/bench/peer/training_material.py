"""What both trainings are handed: a pre-trained model, recordings, and one set of hyper-parameters.

The model is Stable Audio Open Small before its post-training, with random weights: of its own size, or
narrowed so that a step takes seconds and not minutes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arc_eval.models.autoencoder_weights import AutoencoderFile, save_autoencoder
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.files import model_files
from arc_eval.models.weights import load_model, save_model
from peer.material import WEIGHTS, raise_branches

AUTOENCODER, RECIPE, THEIR_TRAINING = "autoencoder", "recipe.yaml", "training.json"
HEAD, DRAWN = "head.safetensors", "drawn-{}.safetensors"
"""What arc_eval leaves for the reference: the discriminator's head, and what each pair of steps draws."""
OFFICIAL = "random/stable-audio-open-small-base"
RATE, BETAS, DECAY, CLIP_NORM = 5e-7, (0.9, 0.999), 1e-3, 1.0
SECONDS = 11.0
GENERATOR_TIMES, DISCRIMINATOR_TIMES = "logsnr_uniform", "trunc_logit_normal"


@dataclass(frozen=True)
class Size:
    """How wide and deep; the discriminator keeps three quarters of the blocks."""

    width: int = 512
    depth: int = 8
    heads: int = 8
    autoencoder: int = 16
    """Channels of the autoencoder's outermost layer, 128 officially."""

    @property
    def layer(self) -> int:
        """The last block of the discriminator, 0-based."""
        return self.depth * 3 // 4 - 1


FULL = Size(1024, 16, 8, 128)


def prepare(size: Size, batch: int, rounds: int, folder: Path) -> None:
    """Writes everything into `folder`."""
    model = narrowed(size, folder)
    raise_branches(model.dit)
    save_model(model, folder / WEIGHTS, {"from": OFFICIAL})
    config = model.config.model_dump(mode="json", exclude_unset=True)
    file = {**config, "model_type": "autoencoder", "model": config["model"]["pretransform"]["config"]}
    save_autoencoder(
        model.autoencoder, AutoencoderFile.model_validate(file), folder / AUTOENCODER, {"from": OFFICIAL}
    )
    (folder / RECIPE).write_text(json.dumps(recipe(size, batch, rounds, folder)), "utf-8")
    (folder / THEIR_TRAINING).write_text(json.dumps(their_training(size, folder)), "utf-8")


def narrowed(size: Size, folder: Path) -> LatentDiffusion:
    """The official configuration in this size, with random weights."""
    config: dict[str, Any] = json.loads(model_files(OFFICIAL).config.read_text("utf-8"))
    autoencoder = config["model"]["pretransform"]["config"]
    for part in ("encoder", "decoder"):
        autoencoder[part]["config"]["channels"] = size.autoencoder
    network = config["model"]["diffusion"]["config"]
    network.update(embed_dim=size.width, depth=size.depth, num_heads=size.heads)
    path = folder / "narrowed.json"
    path.write_text(json.dumps(config), "utf-8")
    return load_model(f"random/{path}")


def recipe(size: Size, batch: int, rounds: int, folder: Path) -> dict[str, Any]:
    """arc_eval's; YAML is wider than JSON."""
    optimiser = {"lr": RATE, "betas": BETAS, "weight_decay": DECAY, "schedule": "constant", "warmup": 0}
    return {
        "kind": "arc",
        "reproduces": "one step of the reference implementation",
        "steps": 2 * (rounds + 1),
        "batch": batch,
        "examples": 2 * batch,
        "data": {"kind": "synthetic", "split": "train", "count": 2 * batch, "seconds": SECONDS},
        "teacher": str(folder / WEIGHTS),
        "autoencoder": str(folder / AUTOENCODER),
        "discriminator_layer": size.layer,
        "generator_times": GENERATOR_TIMES,
        "discriminator_times": DISCRIMINATOR_TIMES,
        "clip_norm": CLIP_NORM,
        "optimiser": optimiser,
        "discriminator_optimiser": optimiser,
    }


def their_training(size: Size, folder: Path) -> dict[str, Any]:
    """The reference's `training` section, with the same meaning."""
    adamw = {"type": "AdamW", "config": {"lr": RATE, "betas": BETAS, "weight_decay": DECAY}}
    return {
        "use_ema": True,
        "pre_encoded": True,
        "cfg_dropout_prob": 0.0,
        "clip_grad_norm": CLIP_NORM,
        "log_every_n_steps": 1,
        "optimizer_configs": {"diffusion": {"optimizer": adamw}, "discriminator": {"optimizer": adamw}},
        "arc": {
            "use_model_as_discriminator": True,
            "discriminator_base_ckpt": str(folder / WEIGHTS / "model.safetensors"),
            "noise_dist": {"generator": GENERATOR_TIMES, "discriminator": DISCRIMINATOR_TIMES},
            "discriminator": {"type": "conv", "dit_hidden_layer": size.layer, "contrastive": True},
        },
    }
