"""The tiny family's extractors as networks: a tagger, and an audio-text pair in one space."""

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.models.audio_encoder import AudioEncoder, AudioEncoderConfig
from arc_eval.models.config import WordsConfig
from arc_eval.models.words import Words


class TaggerConfig(BaseModel):
    """Sizes and the class of each logit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: AudioEncoderConfig = AudioEncoderConfig()
    labels: tuple[str, ...]


class Tagger(nn.Module):
    """Audio to logits over `labels`; softmax of them is a distribution over what is heard."""

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.audio = AudioEncoder(config.audio)
        self.classify = nn.Linear(config.audio.features, len(config.labels))

    def logits(self, features: Tensor) -> Tensor:
        """float32[clip, 2 * mel, frame] to float32[clip, label]."""
        out: Tensor = self.classify(F.gelu(self.audio.describe(features)))
        return out

    def forward(self, audio: Tensor) -> Tensor:
        """float32[clip, 2, time] to float32[clip, label]."""
        out: Tensor = self.classify(F.gelu(self.audio(audio)))
        return out


class ClapConfig(BaseModel):
    """Sizes of both encoders; they meet in `audio.features` dimensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: AudioEncoderConfig = AudioEncoderConfig()
    text: WordsConfig = WordsConfig(vocabulary=2170, max_length=20, width=96, depth=2, heads=4)


class Clap(nn.Module):
    """A contrastive pair: clips and captions as unit vectors whose cosine says how well they fit."""

    def __init__(self, config: ClapConfig) -> None:
        super().__init__()
        self.config = config
        self.audio = AudioEncoder(config.audio)
        self.text = Words(config.text, config.audio.features)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # exp gives 1 / 0.07, as in CLIP

    def describe_audio(self, features: Tensor) -> Tensor:
        """float32[clip, 2 * mel, frame] to unit float32[clip, feature]."""
        return F.normalize(self.audio.describe(features), dim=-1)

    def embed_audio(self, audio: Tensor) -> Tensor:
        """float32[clip, 2, time] to unit float32[clip, feature]."""
        return F.normalize(self.audio(audio), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit float32[text, feature]: the sum of the words' states; a text without words is zero."""
        tokens = self.text.tokens(texts).to(self.log_scale.device)
        return F.normalize(self.text.encode(tokens).sum(1), dim=-1)
