"""MusicGen, mono and stereo, by transformers: a language model that samples audio codes one after another.

Its sampling draws from the process-wide random stream: each clip is made alone, within a stream of its
own. A clip's length decides how many codes are drawn; the codec's last frame is cut.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval import contracts
from arc_eval.code import code_digest
from arc_eval.contracts import StageHook, untimed
from arc_eval.errors import CheckpointError
from arc_eval.generators.asked import check_lengths, paired
from arc_eval.generators.foreign import Stages, exactly, private_stream, staged
from arc_eval.generators.pretrained import Pretrained, loading, pretrained, without_bars
from arc_eval.models.hub import hub_folder
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt

FILES = ("*.json", "*.safetensors", "*.model", "*.txt")
"""What is fetched of a repository."""

STAGES: Stages = {
    "text": ("text_encoder.forward",),
    "step": ("decoder.forward",),
    "decode": ("audio_encoder.decode",),
}


class Settings(contracts.Settings):
    """`{kind: transformers, model: facebook/musicgen-small, guidance: 3.0}`."""

    model: str
    """OWNER/NAME on the Hugging Face hub, or a folder that `save_pretrained` wrote."""
    revision: str | None = None
    """Branch, tag or commit; a commit keeps the weights what they are."""
    guidance: float | None = Field(None, ge=1)
    """Scale of classifier-free guidance, 1 is none; None leaves it, like each None here, to the model."""
    do_sample: bool | None = None
    """False takes the likeliest code every time: the seed then decides nothing."""
    temperature: float | None = Field(None, gt=0)
    top_k: int | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "cpu"

    def build(self) -> "MusicGen":
        """Loads the model. Raises CheckpointError if there is none, or it is not a whole MusicGen."""
        with loading(self.model, "models"):
            import transformers

            source = pretrained(
                self.model, self.revision, lambda: hub_folder(self.model, FILES, self.revision)
            )
            _need_musicgen(self.model, transformers.AutoConfig.from_pretrained(source.folder))
            read: Any = transformers.MusicgenForConditionalGeneration.from_pretrained
            with without_bars(transformers):
                model, found = read(source.folder, dtype=getattr(torch, self.dtype), output_loading_info=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(source.folder)
        if found["missing_keys"]:
            raise CheckpointError(
                f"{self.model}: tensors are missing: {', '.join(sorted(found['missing_keys']))}"
            )
        return MusicGen(self, model.to(self.device).eval(), tokenizer, source)


class MusicGen:
    """A model with its way of sampling chosen."""

    def __init__(self, settings: Settings, model: Any, tokenizer: Any, source: Pretrained) -> None:
        self.settings = settings
        self.model = model
        self.source = source
        self.sample_rate = int(model.config.audio_encoder.sampling_rate)
        self._tokenizer = tokenizer
        wanted = {
            "guidance_scale": settings.guidance,
            **settings.model_dump(include={"do_sample", "temperature", "top_k", "top_p"}),
        }
        self._sampling = {name: value for name, value in wanted.items() if value is not None}

    @property
    def max_seconds(self) -> float:
        """The longest clip: as many frames as the model was made for, 30 s for the published ones."""
        limits = (self.model.generation_config.max_length, self.model.config.decoder.max_position_embeddings)
        frames: int = min(limit for limit in limits if limit)
        return frames * self._hop / self.sample_rate

    @property
    def _hop(self) -> int:
        return int(self.model.config.audio_encoder.hop_length)

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """One clip for each prompt and seed, cut to the prompt's length.

        Raises DataError for a prompt longer than the model can make.
        """
        check_lengths(prompts, self.max_seconds)
        with staged(self.model, STAGES, stage):
            clips = [self._clip(prompt, seed) for prompt, seed in paired(prompts, seeds)]
        return AudioBatch.of(clips, self.sample_rate)

    def _clip(self, prompt: Prompt, seed: int) -> Tensor:
        words = self._tokenizer([prompt.text], return_tensors="pt").to(self.settings.device)
        with private_stream(seed, self.settings.device):
            audio = self.model.generate(
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
                max_new_tokens=self._codes(prompt.seconds),
                **self._sampling,
            )
        clip = audio[0].float().cpu()
        return exactly(clip, prompt, self.sample_rate, f"{prompt.id}: MusicGen")

    def _codes(self, seconds: float) -> int:
        """How many codes make a clip: one for each frame, and those by which the last codebook is late.

        Fewer frames than there are codebooks would be drawn without that delay, as no model has learnt.
        """
        decoder = self.model.config.decoder
        codebooks = int(decoder.num_codebooks // decoder.audio_channels)
        frames = math.ceil(round(seconds * self.sample_rate) / self._hop)
        return max(frames, codebooks) + codebooks - 1

    def identity(self) -> Mapping[str, str]:
        """Weights, the way of sampling, precision, device type, libraries and code."""
        import transformers

        return {
            **self.source.identity(),
            **{name: str(value) for name, value in self._sampling.items()},
            "dtype": self.settings.dtype,
            "device": torch.device(self.settings.device).type,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "code": code_digest(self),
        }


def _need_musicgen(name: str, config: Any) -> None:
    if config.model_type != "musicgen":
        raise CheckpointError(
            f"{name}: a model of type {config.model_type!r}; only 'musicgen' is supported here"
        )
