"""The tiny extractors' network: stereo band levels to one vector for a clip of any length."""

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.models.features import StereoMel
from arc_eval.models.schema import Count
from arc_eval.models.spectral import ResidualBlock


class AudioEncoderConfig(BaseModel):
    """Front end and sizes; the front end's numbers are part of an extractor's fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_rate: Count = 44100
    n_fft: Count = 2048
    hop: Count = 512
    mels: Count = 128
    patch: Count = 4
    width: Count = 128
    blocks: Annotated[int, Field(ge=0)] = 4
    features: Count = 64


class AudioEncoder(nn.Module):
    """float32[clip, 2, time] to float32[clip, feature]: mean and maximum over time, then projected."""

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = StereoMel(config.sample_rate, config.n_fft, config.hop, config.mels)
        self.project_in = nn.Conv1d(2 * config.mels, config.width, config.patch, stride=config.patch)
        self.blocks = nn.Sequential(*[ResidualBlock(config.width) for _ in range(config.blocks)])
        self.norm = nn.LayerNorm(2 * config.width)
        self.project_out = nn.Linear(2 * config.width, config.features)

    def describe(self, features: Tensor) -> Tensor:
        """float32[clip, 2 * mel, frame], at least `patch` frames, to float32[clip, feature]."""
        hidden = self.blocks(self.project_in(features))
        pooled = torch.cat([hidden.mean(-1), hidden.amax(-1)], dim=-1)
        out: Tensor = self.project_out(self.norm(pooled))
        return out

    def forward(self, audio: Tensor) -> Tensor:
        """Audio shorter than one patch is padded with silence."""
        least = self.config.patch * self.config.hop
        audio = F.pad(audio, (0, max(0, least - audio.shape[-1])))
        return self.describe(self.mel(audio).stacked()[..., : audio.shape[-1] // self.config.hop])
