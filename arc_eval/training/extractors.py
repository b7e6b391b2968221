"""Training the tiny extractors: a tagger by its exact labels, an audio-text pair by its captions.

Both see features that are shifted in level, roughened and blurred at random, so that they describe
the sound and not the codec it went through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from arc_eval.contracts import Progress, silent
from arc_eval.losses.contrastive import matching_loss
from arc_eval.models.audio_encoder import AudioEncoderConfig
from arc_eval.models.extractor_weights import save_extractor
from arc_eval.models.features import LEVEL_SCALE, BandLevels
from arc_eval.models.spectral import SpectralConfig
from arc_eval.models.tiny_extractors import Clap, ClapConfig, Tagger, TaggerConfig
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import initial_weights
from arc_eval.training.data import Encoded, batch_indices, encode_for
from arc_eval.training.draw import Contribution, Draw, Turn
from arc_eval.training.features import FeatureEncoding
from arc_eval.training.learner import Learner
from arc_eval.training.place import ALONE, Place
from arc_eval.training.recipe import Indivisible, Optimisation, Recipe


class TaggerRecipe(Indivisible):
    """A classifier of the data's tags."""

    model: AudioEncoderConfig = AudioEncoderConfig()
    seconds: float = Field(default=2.0, gt=0)
    optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "TaggerTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return TaggerTask(self, _features(self, self.model, self.seconds, cache, progress), place)


class ClapRecipe(Indivisible):
    """An audio-text pair; a batch is also the number of captions to choose from."""

    model: ClapConfig = ClapConfig()
    seconds: float = Field(default=2.0, gt=0)
    optimiser: Optimisation

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "ClapTask":
        """Encodes the recordings (or finds them encoded) and builds the networks."""
        with initial_weights(self.seed):
            return ClapTask(self, _features(self, self.model.audio, self.seconds, cache, progress), place)


@dataclass(frozen=True, kw_only=True)
class HeardDraw(Draw):
    """Recordings' features, varied, and their prompts."""

    features: Tensor
    prompts: Sequence[Prompt]


def _heard(data: Encoded, recipe: Recipe, step: int, rng: torch.Generator, decibels: float) -> HeardDraw:
    rows = batch_indices(len(data), recipe.batch, recipe.seed, step)
    prompts = [data.prompts[row] for row in rows.tolist()]
    features = varied(data.rows(rows), rng, decibels=decibels)
    return HeardDraw(clips=[prompt.id for prompt in prompts], features=features, prompts=prompts)


class TaggerTask:
    """Cross-entropy against the tags, shared equally where a clip has two."""

    def __init__(self, recipe: TaggerRecipe, data: Encoded, place: Place) -> None:
        self.recipe, self.data = recipe, data
        self.labels = tuple(sorted({tag for prompt in data.prompts for tag in prompt.tags}))
        self.network = Tagger(TaggerConfig(audio=recipe.model, labels=self.labels))
        self.learner = Learner(self.network, recipe.optimiser, recipe, place)
        self.learners = {"network": self.learner}
        self.facts = dict(data.facts)

    def turn(self, step: int, rng: torch.Generator) -> Turn[HeardDraw]:
        """Learns from one batch; logs the loss and the hits."""
        return Turn("network", _heard(self.data, self.recipe, step, rng, decibels=6.0), self._loss)

    def _loss(self, draw: HeardDraw) -> Contribution:
        logits = self.network.logits(draw.features)
        shares = [[(label in p.tags) / len(p.tags) for label in self.labels] for p in draw.prompts]
        expected = torch.tensor(shares, device=logits.device)
        loss = F.cross_entropy(logits, expected)
        hits = expected.gather(1, logits.argmax(1, keepdim=True)) > 0
        return Contribution(loss, {"loss": loss, "recognised": hits.float().mean()})

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged extractor."""
        self.learner.publish(
            lambda network: save_extractor(network, "tiny-tagger", network.config, folder, manifest)
        )


class ClapTask:
    """Contrastive matching of clips and captions."""

    def __init__(self, recipe: ClapRecipe, data: Encoded, place: Place) -> None:
        self.recipe, self.data = recipe, data
        self.network = Clap(recipe.model)
        self.learner = Learner(self.network, recipe.optimiser, recipe, place)
        self.learners = {"network": self.learner}
        self.facts = dict(data.facts)

    def turn(self, step: int, rng: torch.Generator) -> Turn[HeardDraw]:
        """Learns from one batch; logs the loss and the hits."""
        # Levels are part of what captions say ("a quiet bell"), so they are not shifted here.
        return Turn("network", _heard(self.data, self.recipe, step, rng, decibels=0.0), self._loss)

    def _loss(self, draw: HeardDraw) -> Contribution:
        texts = [prompt.text for prompt in draw.prompts]
        clips = self.network.describe_audio(draw.features)
        captions = self.network.embed_text(texts)
        scale = self.network.log_scale.exp().clamp_max(100.0)
        loss = matching_loss(clips, captions, texts, scale)
        hits = (clips @ captions.T).argmax(1) == torch.arange(len(texts), device=clips.device)
        return Contribution(loss, {"loss": loss, "matched": hits.float().mean()})

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Writes the averaged extractor."""
        self.learner.publish(
            lambda network: save_extractor(network, "tiny-clap", network.config, folder, manifest)
        )


def varied(features: Tensor, rng: torch.Generator, *, decibels: float = 6.0) -> Tensor:
    """Features as another codec at another level might show them. float32[clip, 2 * mel, frame]."""
    levels = BandLevels.split(features)
    count = len(features)
    shift = decibels / LEVEL_SCALE * torch.randn(count, 1, 1, generator=rng)
    rough = 0.15 * torch.rand(count, 1, 1, generator=rng)
    level = levels.level + shift + rough * torch.randn(levels.level.shape, generator=rng)
    blurred = F.avg_pool1d(F.pad(level, (1, 1), mode="replicate"), 3, stride=1)
    blurred = F.avg_pool1d(F.pad(blurred.mT, (1, 1), mode="replicate"), 3, stride=1).mT
    mix = torch.rand(count, 1, 1, generator=rng)
    lean = levels.lean + rough * torch.randn(levels.lean.shape, generator=rng)
    return BandLevels(level + mix * (blurred - level), lean).stacked()


def _features(
    recipe: Recipe, front: AudioEncoderConfig, seconds: float, cache: Path, progress: Progress
) -> Encoded:
    config = SpectralConfig(sample_rate=front.sample_rate, n_fft=front.n_fft, hop=front.hop, mels=front.mels)
    return encode_for(recipe, FeatureEncoding(config, seconds), cache, progress)
