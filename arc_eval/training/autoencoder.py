"""Training the spectral autoencoder: band levels in, band levels out, through a narrow latent.

The loss is the absolute error of levels and leans, weighted by loudness, plus a small pull of the
latent towards a unit Gaussian.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arc_eval.contracts import Progress, silent
from arc_eval.models.autoencoder import Autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig
from arc_eval.models.autoencoder_weights import AutoencoderFile, save_autoencoder
from arc_eval.models.bottleneck import Posterior
from arc_eval.models.features import LEVEL_SCALE, BandLevels
from arc_eval.models.spectral import SpectralConfig, SpectralDecoder, SpectralEncoder
from arc_eval.seeding import initial_weights
from arc_eval.training.data import Encoded, batch_indices, encode
from arc_eval.training.features import FeatureEncoding, whole_frames
from arc_eval.training.learner import Learner
from arc_eval.training.recipe import Optimisation, Recipe
from arc_eval.training.task import Stateful


class AutoencoderRecipe(Recipe):
    """The tiny family's autoencoder."""

    model: SpectralConfig = SpectralConfig()
    seconds: float = 2.0
    kl_weight: float = 1e-3
    lean_weight: float = 0.5
    optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent) -> "AutoencoderTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        data = encode(self.data, self.examples, FeatureEncoding(self.model, self.seconds), cache, progress)
        with initial_weights(self.seed):
            return AutoencoderTask(self, data)


class AutoencoderTask:
    """Encoder and decoder trained together; the average of both is published."""

    def __init__(self, recipe: AutoencoderRecipe, data: Encoded) -> None:
        self.recipe, self.data = recipe, data
        self.encoder, self.decoder = SpectralEncoder(recipe.model), SpectralDecoder(recipe.model)
        self.network = Autoencoder(self.encoder, self.decoder)
        self.learner = Learner(self.network, recipe.optimiser, recipe)
        self.state: Mapping[str, Stateful] = {"network": self.learner}
        self.facts = {"data_digest": data.digest}

    def step(self, step: int, rng: torch.Generator) -> Mapping[str, float]:
        """Reconstructs one batch; logs the errors, the divergence and the gradient norm."""
        recipe = self.recipe
        features = self.data.rows(batch_indices(len(self.data), recipe.batch, recipe.seed, step))
        latent = Posterior.of(self.encoder.compress(features))
        noise = torch.randn(latent.mean.shape, generator=rng)
        error, lean_error = reconstruction_error(self.decoder.expand(latent.sample(noise)), features)
        divergence = latent.divergence() / latent.mean.shape[1]
        loss = error + recipe.lean_weight * lean_error + recipe.kl_weight * divergence
        norm = self.learner.learn(loss, step)
        return {"level": error.item(), "lean": lean_error.item(), "kl": divergence.item(), "norm": norm}

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged autoencoder in the official layout."""
        model = self.recipe.model
        part = {"type": "spectral", "config": model.model_dump(mode="json")}
        config = AutoencoderFile(
            model_type="autoencoder",
            sample_size=whole_frames(model, self.recipe.seconds),
            sample_rate=model.sample_rate,
            audio_channels=2,
            model=AutoencoderConfig.model_validate(
                {
                    "encoder": part,
                    "decoder": part,
                    "latent_dim": model.latent_dim,
                    "downsampling_ratio": model.patch * model.hop,
                    "io_channels": 2,
                }
            ),
        )
        save_autoencoder(self.learner.average, config, folder, manifest)


def reconstruction_error(
    found: Tensor,  # float[clip, 2 * mel, frame]
    features: Tensor,  # float[clip, 2 * mel, frame]
) -> tuple[Tensor, Tensor]:
    """Absolute errors of levels and of leans, each weighted by the loudness of its band.

    Loudness goes with power to 0.3 (Stevens' law); a floor keeps silence silent. Without the weight a
    steady tone, one band among many, is not worth its place in the latent.
    """
    got, want = BandLevels.split(found), BandLevels.split(features)
    loudness = (0.03 * math.log(10) * LEVEL_SCALE * want.level).exp()
    weight = (loudness + 0.2) / (loudness + 0.2).mean()
    heard = loudness / loudness.mean()
    return (weight * (got.level - want.level).abs()).mean(), (heard * (got.lean - want.lean).abs()).mean()
