"""Training the spectral autoencoder: band levels in, band levels out, through a narrow latent.

The loss is the absolute error of levels and leans, weighted by loudness, plus a small pull of the
latent towards a unit Gaussian.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from arc_eval.contracts import Progress, silent
from arc_eval.models.autoencoder import Autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig
from arc_eval.models.autoencoder_weights import AutoencoderFile, save_autoencoder
from arc_eval.models.bottleneck import Posterior
from arc_eval.models.features import LEVEL_SCALE, BandLevels
from arc_eval.models.spectral import SpectralConfig, SpectralDecoder, SpectralEncoder
from arc_eval.seeding import initial_weights
from arc_eval.training.data import Encoded, batch_indices, encode_for
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.features import FeatureEncoding, whole_frames
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.recipe import Indivisible, Optimisation


class AutoencoderRecipe(Indivisible):
    """The tiny family's autoencoder."""

    model: SpectralConfig = SpectralConfig()
    seconds: float = Field(default=2.0, gt=0)
    kl_weight: float = Field(default=1e-3, ge=0)
    lean_weight: float = Field(default=0.5, ge=0)
    optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "AutoencoderTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        data = encode_for(self, FeatureEncoding(self.model, self.seconds), cache, progress)
        with initial_weights(self.seed):
            return AutoencoderTask(self, data, place)


@dataclass(frozen=True, kw_only=True)
class LevelsDraw(Draw):
    """Recordings' features, and the noise on their latents."""

    features: Tensor
    noise: Tensor


class AutoencoderTask:
    """Encoder and decoder trained together; the average of both is published."""

    def __init__(self, recipe: AutoencoderRecipe, data: Encoded, place: Place) -> None:
        self.recipe, self.data = recipe, data
        self.encoder, self.decoder = SpectralEncoder(recipe.model), SpectralDecoder(recipe.model)
        self.learner = Learner(Autoencoder(self.encoder, self.decoder), recipe.optimiser, recipe, place)
        self.learners = {"network": self.learner}
        self.facts = dict(data.facts)

    def turn(self, step: int, rng: torch.Generator) -> Turn[LevelsDraw]:
        """Reconstructs one batch; logs the errors and the divergence."""
        recipe = self.recipe
        rows = batch_indices(len(self.data), recipe.batch, recipe.seed, step)
        features = self.data.rows(rows)
        frames = features.shape[-1] // recipe.model.patch
        draw = LevelsDraw(
            clips=[self.data.prompts[row].id for row in rows.tolist()],
            features=features,
            noise=torch.randn(len(rows), recipe.model.latent_dim, frames, generator=rng),
        )
        return Turn("network", draw, self._loss)

    def _loss(self, draw: LevelsDraw) -> Contribution:
        latent = Posterior.of(self.encoder.compress(draw.features))
        error, lean_error = reconstruction_error(
            self.decoder.expand(latent.sample(draw.noise)), draw.features
        )
        divergence = latent.divergence() / latent.mean.shape[1]
        loss = error + self.recipe.lean_weight * lean_error + self.recipe.kl_weight * divergence
        return Contribution(loss, {"level": error, "lean": lean_error, "kl": divergence})

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
        self.learner.publish(lambda network: save_autoencoder(network, config, folder, manifest))


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
