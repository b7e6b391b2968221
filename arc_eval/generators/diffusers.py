"""Text-to-audio pipelines of diffusers: Stable Audio, AudioLDM2, MusicLDM and whatever is called alike.

What differs between them (the name of the length argument, where the sampling rate stands, which parts
there are) is read from the pipeline itself. Clips are made one by one, each from a CPU stream of its own.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.code import code_digest
from arc_eval.contracts import StageHook, untimed
from arc_eval.errors import CheckpointError, DataError, SuiteError, suggest
from arc_eval.generators.asked import paired
from arc_eval.generators.foreign import Stages, exactly, private_stream, staged
from arc_eval.generators.pretrained import Pretrained, loading, pretrained, without_bars
from arc_eval.generators.repairs import repair
from arc_eval.models.offline import offline
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import clip_generators

LENGTHS = ("audio_end_in_s", "audio_length_in_s", "audio_duration_s", "audio_duration", "duration")
"""What pipelines call the clip's length in seconds."""

RATES = (
    "sample_rate", "vocoder.config.sampling_rate", "vae.config.sampling_rate", "vae.config.sample_rate",
)  # fmt: skip
"""Where a pipeline says the rate of its clips, in Hz; the first that is there holds."""

OURS = {
    "prompt", "num_inference_steps", "guidance_scale", "negative_prompt", "generator", "output_type",
    "return_dict",
}  # fmt: skip
"""Arguments of the call that are not `options`."""

STAGES: Stages = {
    "text": ("encode_prompt", "_encode_prompt"),
    "step": ("transformer.forward", "unet.forward"),
    "decode": ("vae.decode", "mel_spectrogram_to_waveform"),
}


class Settings(contracts.Settings):
    """`{kind: diffusers, model: stabilityai/stable-audio-open-1.0, steps: 100, guidance: 7.0}`."""

    model: str
    """OWNER/NAME on the Hugging Face hub, or a folder that `save_pretrained` wrote."""
    revision: str | None = None
    """Branch, tag or commit; a commit keeps the weights what they are."""
    steps: int | None = Field(None, ge=1)
    """Denoising steps; None leaves them, like each None here, to the pipeline."""
    guidance: float | None = None
    negative_prompt: str | None = None
    scheduler: str | None = None
    """Another scheduler of diffusers by its class name, with the configuration of the model's own."""
    options: Mapping[str, Any] = {}
    """Further arguments of the pipeline's call."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "cpu"

    def build(self) -> "DiffusersGenerator":
        """Loads the pipeline.

        Raises CheckpointError if there is none, or none that makes audio of text, SuiteError for an
        option or a scheduler that it does not know.
        """
        with loading(self.model, "diffusers"):
            import diffusers
            import transformers

            source = pretrained(self.model, self.revision, self._fetch)
            read: Any = diffusers.DiffusionPipeline.from_pretrained
            with without_bars(diffusers, transformers):
                pipeline = read(
                    source.folder,
                    dtype=getattr(torch, self.dtype),
                    local_files_only=True,
                    low_cpu_mem_usage=find_spec("accelerate") is not None,
                )
        repair(pipeline)
        if self.scheduler is not None:
            pipeline.scheduler = _other_scheduler(pipeline.scheduler, self.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        return DiffusersGenerator(self, pipeline.to(self.device), source)

    def _fetch(self) -> Path:
        import diffusers

        fetch: Any = diffusers.DiffusionPipeline.download
        return Path(fetch(self.model, revision=self.revision, local_files_only=offline()))


class DiffusersGenerator:
    """A pipeline with the arguments of its call chosen."""

    def __init__(self, settings: Settings, pipeline: Any, source: Pretrained) -> None:
        self.settings = settings
        self.pipeline = pipeline
        self.source = source
        self._kind = type(pipeline).__name__
        known = inspect.signature(pipeline.__call__).parameters
        self._length, self.sample_rate = _length_argument(self._kind, known), _rate(self._kind, pipeline)
        wanted = {
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "negative_prompt": settings.negative_prompt,
        }
        self._fixed = {name: value for name, value in wanted.items() if value is not None}
        self._fixed |= _checked(settings.options, self._kind, known.keys() - OURS - {self._length})
        for name in self._fixed.keys() - known.keys():
            raise SuiteError(f"{self._kind} has no {name!r}; leave its setting out")

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """One clip for each prompt and seed, cut to the prompt's length.

        Raises DataError for a prompt that the pipeline refuses, such as one that is too long.
        """
        with staged(self.pipeline, STAGES, stage):
            clips = [self._clip(prompt, seed) for prompt, seed in paired(prompts, seeds)]
        return AudioBatch.of(clips, self.sample_rate)

    def _clip(self, prompt: Prompt, seed: int) -> Tensor:
        asked = {
            "prompt": prompt.text,
            self._length: prompt.seconds,
            "generator": clip_generators([seed])[0],
            "output_type": "pt",
            **self._fixed,
        }
        try:
            # A scheduler that is not handed the generator draws from the process: that too is the clip's own.
            with private_stream(seed, self.settings.device):
                audio = self.pipeline(**asked).audios[0]
        except ValueError as error:
            raise DataError(f"{prompt.id}: {self._kind} refuses it: {error}") from error
        clip = torch.as_tensor(audio).detach().float().cpu()
        clip = clip.reshape(-1, clip.shape[-1])  # mono comes without a channel
        return exactly(clip, prompt, self.sample_rate, f"{prompt.id}: {self._kind}")

    def identity(self) -> Mapping[str, str]:
        """Weights, classes, the call's arguments, precision, device type, libraries and code."""
        import diffusers
        import transformers

        return {
            **self.source.identity(),
            "pipeline": self._kind,
            "scheduler": type(self.pipeline.scheduler).__name__,
            "arguments": json.dumps(self._fixed, sort_keys=True, default=str),
            "dtype": self.settings.dtype,
            "device": torch.device(self.settings.device).type,
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "code": code_digest(self),
        }


def _length_argument(kind: str, known: Mapping[str, Any]) -> str:
    found = [name for name in LENGTHS if name in known]
    if not found or not {"prompt", "generator"} <= known.keys():
        raise CheckpointError(
            f"{kind} does not make audio of text: its call takes no prompt, no generator or none of "
            f"{', '.join(LENGTHS)}. StableAudioPipeline and AudioLDM2Pipeline do"
        )
    return found[0]


def _rate(kind: str, pipeline: Any) -> int:
    for place in RATES:
        try:
            return int(attrgetter(place)(pipeline))
        except AttributeError:
            continue
    raise CheckpointError(f"{kind} does not say the sampling rate of its clips: none of {', '.join(RATES)}")


def _checked(options: Mapping[str, Any], kind: str, free: set[str]) -> dict[str, Any]:
    for name in options:
        if name not in free:
            raise SuiteError(f"options.{name}: not for {kind} to be given here; {suggest(name, free)}")
    return dict(options)


def _other_scheduler(scheduler: Any, name: str) -> Any:
    known = {kind.__name__: kind for kind in [type(scheduler), *scheduler.compatibles]}
    if name not in known:
        raise SuiteError(f"scheduler: no {name!r} that fits this model; {suggest(name, known)}")
    return known[name].from_config(scheduler.config)
