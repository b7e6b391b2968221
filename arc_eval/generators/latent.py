"""Latent diffusion models: text conditioning, denoising steps, decoder.

Each clip's noise comes from its own CPU stream, and by default each clip goes through the network by
itself: a matrix product may round by the size of its batch, and a clip must not depend on its
neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.contracts import StageHook, untimed
from arc_eval.errors import CheckpointError, DataError
from arc_eval.generators.onednn import available, through_onednn
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import load_model, read_manifest, weights_digest
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.pingpong import pingpong
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.samplers.velocity import Velocity
from arc_eval.seeding import clip_generators, clip_noise
from arc_eval.store import source_digest

Renoise = Callable[[], Tensor]
Sampler = Callable[[Velocity, Tensor, Tensor, Renoise], Tensor]
"""(velocity, noise, times, renoise) to data; deterministic ones never call `renoise`."""

SAMPLERS: Mapping[str, Sampler] = {
    "pingpong": pingpong,
    "euler": lambda velocity, x, times, renoise: euler(velocity, x, times),
    "dpmpp-2m": lambda velocity, x, times, renoise: dpmpp_2m(velocity, x, times),
}

CODE = (
    "arc_eval.dsp", "arc_eval.flow", "arc_eval.generators", "arc_eval.models", "arc_eval.records",
    "arc_eval.samplers", "arc_eval.seeding",
)  # fmt: skip
"""The modules that decide a clip."""


class Settings(contracts.Settings):
    """`{kind: latent, weights: tiny/arc, sampler: pingpong, steps: 8}`."""

    weights: str
    """`tiny/NAME`, or a folder with `model_config.json` and `model.safetensors`."""
    sampler: Literal["pingpong", "euler", "dpmpp-2m"]
    steps: int = Field(ge=1)
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1 is none, at half the cost."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the denoising network; conditioner and decoder stay in float32."""
    batch: int = Field(1, ge=1)
    """Clips that go through the network together. Beyond 1 the last bits depend on who they are."""
    device: str = "cpu"

    def build(self) -> "LatentGenerator":
        """Loads the weights. Raises CheckpointError if they do not fit."""
        model = load_model(self.weights, self.device)
        if model.objective == "v":
            raise CheckpointError(f"{self.weights}: a v-objective model; the samplers here follow velocities")
        model.dit.to(getattr(torch, self.dtype))
        if available():
            through_onednn(model)
        return LatentGenerator(self, model)


@dataclass(frozen=True)
class LatentGenerator:
    """A model with its sampler and schedule chosen."""

    settings: Settings
    model: LatentDiffusion

    @property
    def sample_rate(self) -> int:
        """Of every clip, in Hz; the model decides it."""
        return self.model.sample_rate

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """One clip for each prompt and seed, cut to the prompt's length.

        Raises DataError for a prompt longer than the model can make.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
        for prompt in prompts:
            if not 0 < prompt.seconds <= self.model.max_seconds:
                raise DataError(
                    f"{prompt.id}: asks for {prompt.seconds:g} s; "
                    f"this model makes more than 0 and at most {self.model.max_seconds:g} s"
                )
        known: dict[tuple[str, float], Conditioning] = {}
        clips: list[Tensor] = []
        for start in range(0, len(prompts), self.settings.batch):
            together = slice(start, start + self.settings.batch)
            clips += self._together(prompts[together], seeds[together], known, stage)
        return AudioBatch.of(clips, self.sample_rate)

    def _together(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[int],
        known: dict[tuple[str, float], Conditioning],
        stage: StageHook,
    ) -> list[Tensor]:
        """Clips that share the network's batch; `known` holds the call's captions, each encoded once."""
        with stage("text"):
            conditioning = self._condition(prompts, known)
        streams = clip_generators(seeds)
        shape, device = self.model.latent_shape, self.settings.device
        plain = guided(self.model.velocity, conditioning, self.settings.guidance)

        def noise() -> Tensor:
            return clip_noise(streams, shape).to(device)

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            with stage("step"):
                return plain(x, t)

        times = log_snr_times(self.settings.steps).to(device)
        latents = SAMPLERS[self.settings.sampler](velocity, noise(), times, noise)
        with stage("decode"):
            audio = self.model.decode(latents).float().cpu()
        lengths = (round(prompt.seconds * self.sample_rate) for prompt in prompts)
        return [clip[:, :length] for clip, length in zip(audio, lengths, strict=True)]

    def _condition(
        self, prompts: Sequence[Prompt], known: dict[tuple[str, float], Conditioning]
    ) -> Conditioning:
        """Each caption is encoded alone, so that no other can pad it."""
        rows = []
        for prompt in prompts:
            asked = (prompt.text, prompt.seconds)
            if asked not in known:
                known[asked] = self.model.condition([prompt])
            rows.append(known[asked])
        joined = rows[0]
        for row in rows[1:]:
            joined = joined.joined(row)
        return joined

    def identity(self) -> Mapping[str, str]:
        """Weights, sampler, steps, guidance, precision, batch, device type and code."""
        settings = self.settings.model_dump(mode="json", exclude={"weights", "device"})
        return {
            "weights": weights_digest(self.settings.weights),
            **{name: str(value) for name, value in settings.items()},
            "schedule": "log-snr -6..2",
            "device": torch.device(self.settings.device).type,
            "torch": torch.__version__,
            "code": source_digest(*CODE),
        }

    def lineage(self) -> Mapping[str, Any]:
        """The training manifest beside the weights, if there is one."""
        return read_manifest(self.settings.weights)
