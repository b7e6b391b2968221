"""A whole latent diffusion model: autoencoder, conditioner and DiT under their official names."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from arc_eval.models.autoencoder import Autoencoder, build_autoencoder
from arc_eval.models.conditioning import Conditioner, Conditioning
from arc_eval.models.config import ModelConfig, Objective
from arc_eval.models.dit import DiT
from arc_eval.records.prompt import Prompt


class LatentDiffusion(nn.Module):
    """Prompts and noise to latents to audio. A freshly built one carries the official initialisation."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # One-entry dictionaries give the official keys `pretransform.model.*` and `model.model.*`.
        self.pretransform = nn.ModuleDict({"model": build_autoencoder(config.model.pretransform.config)})
        self.conditioner = Conditioner(config.model.conditioning, config.model.diffusion)
        self.model = nn.ModuleDict({"model": DiT(config.model.diffusion.config)})

    @property
    def autoencoder(self) -> Autoencoder:
        """Audio to latents and back."""
        return self.pretransform["model"]  # type: ignore[return-value]

    @property
    def dit(self) -> DiT:
        """The denoising network."""
        return self.model["model"]  # type: ignore[return-value]

    @property
    def objective(self) -> Objective:
        """What the DiT's output means: a velocity for `rectified_flow` and `rf_denoiser`, v for `v`."""
        return self.config.model.diffusion.diffusion_objective

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.dit.timestep_features.weight.device

    @property
    def sample_rate(self) -> int:
        """Of the audio that `decode` returns, in Hz."""
        return self.config.sample_rate

    @property
    def max_seconds(self) -> float:
        """The length of what `decode` returns; shorter clips are cut from it."""
        return self.config.sample_size / self.config.sample_rate

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(channel, frame) of the latents of one clip, whatever its seconds: they only condition it."""
        return self.config.model.io_channels, self.config.latent_frames

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """One row of conditioning for each prompt."""
        return self.conditioner(prompts)  # type: ignore[no-any-return]

    def velocity(
        self,
        x: Tensor,  # float[clip, channel, frame]
        t: Tensor,  # float[clip]
        conditioning: Conditioning,
    ) -> Tensor:
        """The DiT's output in x's own dtype, whatever the weights' precision: float[clip, channel, frame]."""
        dtype = self.dit.transformer.project_in.weight.dtype
        out: Tensor = self.dit(
            x.to(dtype), t.to(dtype), conditioning.cross.to(dtype), conditioning.global_.to(dtype)
        )
        return out.to(x.dtype)

    def encode(self, audio: Tensor) -> Tensor:
        """float32[clip, channel, time] to mean latents float32[clip, latent, frame], scaled for the DiT."""
        latents = self.autoencoder.encode(audio.to(self._audio_dtype)).float()
        return latents / self.config.model.pretransform.scale

    def decode(self, latents: Tensor) -> Tensor:
        """float[clip, latent, frame] to float[clip, channel, time], neither clipped nor cut."""
        return self.autoencoder.decode((latents * self.config.model.pretransform.scale).to(self._audio_dtype))

    @property
    def _audio_dtype(self) -> torch.dtype:
        return next(self.autoencoder.parameters()).dtype
