"""Latent diffusion models: text conditioning, denoising steps, decoder.

Each clip's noise comes from its own CPU streams, and by default each clip goes through the network by
itself: a matrix product may round by the size of its batch, and a clip must not depend on its
neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field, field_serializer, field_validator, model_validator
from torch import Tensor

from arc_eval import contracts
from arc_eval.code import code_digest
from arc_eval.contracts import StageHook, untimed
from arc_eval.errors import CheckpointError
from arc_eval.generators import style
from arc_eval.generators.asked import check_lengths, paired
from arc_eval.generators.sampling import AnySampler, Noise, Start, fitting
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.emulation import notice
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.precision import exact_convolutions
from arc_eval.models.weights import load_model, read_manifest, weights_digest
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.velocity import Velocity

Precision = Literal["float32", "bfloat16", "float16"]

FAINTEST = 1e-9
"""The least noise that style transfer adds; float32 does not tell a clip with less from the clip."""


class Settings(contracts.Settings):
    """`{kind: latent, weights: tiny/arc, sampler: pingpong, steps: 8}`."""

    model_config = ConfigDict(allow_inf_nan=False)

    weights: str
    """`tiny/NAME`; a folder with `model_config.json` and weights; a weights file beside its configuration;
    `hf://OWNER/NAME[@REVISION][/FILE]`; or `random/NAME`, random weights of an official size, for latency."""
    ema: bool | None = None
    """Which weights of a training checkpoint: the averaged ones (true, and the default) or the live ones."""
    sampler: AnySampler
    """Its name, or `{kind: name, ...}` with its options."""
    steps: int = Field(ge=1)
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1 is none, at half the cost."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """Guidance acts at noise levels inside."""
    guidance_rescale: float = Field(0.0, ge=0, le=1)
    """How far the guided output's spread is drawn back to the unguided one's."""
    apg: float = Field(0.0, ge=0, le=1)
    """Adaptive projected guidance: how much of guidance's share along the data itself is taken away."""
    negative_prompt: str | None = None
    """What guidance leads away from; default: from no prompt at all."""
    init_audio: Path | None = None
    """Style transfer: a file, or a folder with a file for each prompt id, to begin with in place of noise."""
    init_level: float = Field(1.0, ge=0, le=1)
    """How much noise is put on it: 0 keeps it, 1 ignores it."""
    dtype: Precision = "float32"
    """Precision of the denoising network; the conditioner stays in float32."""
    decoder_dtype: Precision = "float32"
    """Precision of the autoencoder."""
    window: int | None = Field(None, ge=1)
    """Latent frames decoded at a time, to save memory; any number gives the same audio. Default: 16 on a
    CPU, whose cache they fit, else 512."""
    batch: int = Field(1, ge=1)
    """Clips that go through the network together. Beyond 1 the last bits depend on who they are."""
    sample_rate: int | None = Field(None, ge=1)
    """Refuse weights of another rate; default: take the model's."""
    device: str = "cpu"

    @field_validator("guidance_interval")
    @classmethod
    def _rises(cls, interval: tuple[float, float]) -> tuple[float, float]:
        low, high = interval
        if not 0 <= low < high <= 1:
            raise ValueError(
                f"noise levels lie between 0 and 1, so it must be 0 <= low < high <= 1, not {low:g}, {high:g}"
            )
        return interval

    @model_validator(mode="after")
    def _options_act(self) -> Self:
        options = ("negative_prompt", "apg", "guidance_rescale", "guidance_interval")
        idle = [name for name in options if getattr(self, name) != type(self).model_fields[name].default]
        if self.guidance == 1 and idle:
            raise ValueError(f"{', '.join(idle)}: without effect at guidance 1; set guidance too")
        if self.init_audio is None and self.init_level != 1:
            raise ValueError("style transfer needs init_audio: without it there is nothing for init_level")
        return self

    @field_serializer("sampler")
    def _by_name(self, sampler: AnySampler) -> Any:
        options = sampler.model_dump(mode="json", exclude_defaults=True)
        return {"kind": sampler.kind, **options} if options else sampler.kind

    def build(self) -> "LatentGenerator":
        """Loads the weights. Raises CheckpointError if they, the sampler or the rate do not fit,
        DataError if style transfer's clip is not there."""
        model = load_model(self.weights, self.device, ema=self.ema)
        if model.objective not in self.sampler.objectives:
            raise CheckpointError(
                f"{self.weights}: sampler {self.sampler.kind!r} does not fit a model of objective "
                f"{model.objective!r}; {' or '.join(fitting(model.objective))} would"
            )
        if self.sample_rate not in (None, model.sample_rate):
            raise CheckpointError(
                f"{self.weights}: makes audio at {model.sample_rate} Hz, but sample_rate asks for "
                f"{self.sample_rate} Hz; are these the right weights?"
            )
        model.dit.to(getattr(torch, self.dtype))
        on_cpu = torch.device(self.device).type == "cpu"
        window = self.window or (16 if on_cpu else 512)
        model.autoencoder.prepare(window, getattr(torch, self.decoder_dtype))
        notice(self.device, self.dtype, self.decoder_dtype)
        through_onednn(model)
        if self.init_audio is None:
            return LatentGenerator(self, model)
        beginning = style.beginning(self.init_audio, model.sample_rate, model.config.audio_channels)
        return LatentGenerator(self, model, beginning)


@dataclass(frozen=True)
class LatentGenerator:
    """A model with its sampler and schedule chosen."""

    settings: Settings
    model: LatentDiffusion
    beginning: style.Beginning | None = None
    """Style transfer's clip for a prompt."""

    @property
    def sample_rate(self) -> int:
        """Of every clip, in Hz; the model decides it."""
        return self.model.sample_rate

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """One clip for each prompt and seed, cut to the prompt's length.

        Raises DataError for a prompt longer than the model can make, AudioError for a style
        transfer's clip that is missing or damaged.
        """
        paired(prompts, seeds)
        check_lengths(prompts, self.model.max_seconds)
        if stage is not untimed:
            # A caption that was seen before would make the text stage look free.
            self.model.conditioner.forget()
        clips: list[Tensor] = []
        with exact_convolutions():
            begun = self._begun(prompts, stage)
            for first in range(0, len(prompts), self.settings.batch):
                together = slice(first, first + self.settings.batch)
                start = Start() if begun is None else Start(begun[together], self._level)
                clips += self._together(prompts[together], seeds[together], start, stage)
        return AudioBatch.of(clips, self.sample_rate)

    @property
    def _level(self) -> float:
        level = self.settings.init_level
        return max(level, FAINTEST) if level > 0 else 0.0

    def _together(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], start: Start, stage: StageHook
    ) -> list[Tensor]:
        """Clips that share the network's batch."""
        settings, model = self.settings, self.model
        latents = start.latents
        if latents is None or start.level > 0:
            with stage("text"):
                plain = self._guided(prompts)

            def velocity(x: Tensor, t: Tensor) -> Tensor:
                with stage("step"):
                    return plain(x, t)

            noise = Noise(seeds, model.latent_shape, settings.device)
            latents = settings.sampler.sample(velocity, noise, settings.steps, start)
        with stage("decode"):
            audio = model.decode(latents).float().cpu()
        lengths = (round(prompt.seconds * self.sample_rate) for prompt in prompts)
        return [clip[:, :length] for clip, length in zip(audio, lengths, strict=True)]

    def _begun(self, prompts: Sequence[Prompt], stage: StageHook) -> Tensor | None:
        """Style transfer's clips as latents, each encoded once and alone; None if nothing of them is left."""
        if self.beginning is None or self.settings.init_level == 1:
            return None
        length = self.model.config.sample_size
        latents: dict[str, Tensor] = {}
        with stage("encode"):
            names = [self.beginning.name(prompt) for prompt in prompts]
            for name, prompt in zip(names, prompts, strict=True):
                if name not in latents:
                    clip = self.beginning.clip(prompt)[:, :length]
                    whole = F.pad(clip, (0, length - clip.shape[-1]))
                    latents[name] = self.model.encode(whole[None].to(self.settings.device))
            return torch.cat([latents[name] for name in names])

    def _guided(self, prompts: Sequence[Prompt]) -> Velocity:
        """The network with the prompts and the guidance bound."""
        settings, model = self.settings, self.model
        negative = settings.negative_prompt
        return guided(
            model.velocity,
            model.condition(prompts),
            settings.guidance,
            negative=None
            if negative is None
            else model.condition([replace(p, text=negative) for p in prompts]),
            interval=settings.guidance_interval,
            rescale=settings.guidance_rescale,
            apg=settings.apg,
            path=settings.sampler.path,
        )

    def identity(self) -> Mapping[str, str]:
        """Weights, text encoder, sampler, steps, guidance, precision, batch, style, device type and code."""
        settings = self.settings.model_dump(mode="json", exclude={"weights", "device", "init_audio"})
        path = self.settings.init_audio
        return {
            "weights": weights_digest(self.settings.weights),
            **self.model.conditioner.identity(),
            **{name: str(value) for name, value in settings.items()},
            **({"init_audio": style.content(path)} if path else {}),
            "schedule": self.settings.sampler.schedule,
            "device": torch.device(self.settings.device).type,
            "torch": torch.__version__,
            "code": code_digest(self),
        }

    def lineage(self) -> Mapping[str, Any]:
        """The training manifest beside the weights, if there is one."""
        return read_manifest(self.settings.weights)
