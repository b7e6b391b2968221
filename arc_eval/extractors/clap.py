"""LAION-CLAP as stable-audio-metrics listens with it: what the CLAP score is measured on.

A file is averaged to mono, brought to 48 kHz and to a peak of -1 dBFS, and cut to 16 bits. Up to 10 s it
is repeated and filled up; of a longer one the model hears the whole, shrunk, and three crops (with fusion)
or one crop (without). Officially a global stream draws the crops; here the clip itself decides them.
Source: stable-audio-metrics (laion-clap 1.1.7).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from arc_eval import contracts
from arc_eval.dsp import resample, samples_digest, to_channels
from arc_eval.extractors.alike import alike
from arc_eval.extractors.captions import Tokens, byte_tokens, roberta_tokens
from arc_eval.extractors.loudness import peak_normalised
from arc_eval.models.clap_names import clap_file
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.laion_clap import (
    FRAMES,
    LONGEST,
    SAMPLE_RATE,
    LaionClap,
    MelFrontEnd,
    load_laion_clap,
    random_laion_clap,
)
from arc_eval.records.audio import AudioBatch
from arc_eval.seeding import hashed_seed
from arc_eval.store import file_digest

ON_CPU, TOGETHER = 4, 32
"""Clips at a time: on a CPU more of them leave its cache."""


class Settings(contracts.Settings):
    """`{kind: clap, weights: 630k-audioset-fusion-best.pt}`; by default as stable-audio-metrics."""

    weights: str
    """A released file, whose tensors tell its kind; a folder or `hf://OWNER/NAME[@REVISION]` of a ClapModel;
    or `random`, to time it and to see a suite run."""
    tokenizer: str = "roberta-base"
    """A folder, or a model of the hub, with RoBERTa's vocabulary; `random` weights read captions as bytes."""
    peak: float | None = Field(-1.0, le=0)
    """dBFS; None: as loud as it is."""
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int | None = Field(None, ge=1)
    """Clips at a time; changes nothing but memory and speed. By default what suits the device."""
    device: str = "cpu"

    def build(self) -> "ClapExtractor":
        """Loads the weights. Raises CheckpointError if they are not LAION-CLAP's."""
        if self.weights == "random":
            return ClapExtractor(self, random_laion_clap(), "random", byte_tokens)
        path = clap_file(self.weights)
        return ClapExtractor(self, load_laion_clap(path), file_digest(path), roberta_tokens(self.tokenizer))


class ClapExtractor:
    """One unit row for each clip of any rate, length and one or two channels; captions in the same space."""

    sample_rate = None

    def __init__(self, settings: Settings, network: LaionClap, digest: str, tokens: Tokens) -> None:
        self._settings, self._digest, self._tokens = settings, digest, tokens
        self._batch = settings.batch or (ON_CPU if settings.device == "cpu" else TOGETHER)
        self._fusion = network.config.fusion
        self._front_end = MelFrontEnd(self._fusion)
        self._network = network.to(settings.device, getattr(torch, settings.precision))
        through_onednn(self._network)

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip, unit float32[1, 512]."""
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    @torch.inference_mode()
    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        """float32[1 or 4, 1001, 64] in decibels: the whole, and with fusion three crops of a longer clip."""
        return self._mels(self._levelled(samples, sample_rate))

    @torch.inference_mode()
    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        """Per clip, unit float32[1, 512]."""
        rows: dict[int, Tensor] = {}
        for group in alike([len(mels) for mels in heard], self._batch):
            mels = torch.stack([heard[place] for place in group])
            longer = torch.full((len(group),), mels.shape[1] > 1)
            found = self._network.embed_audio(self._placed(mels), longer).float().cpu()
            rows |= dict(zip(group, found[:, None], strict=True))
        return [rows[place] for place in range(len(heard))]

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit float32[text, 512]; captions of more than 75 word pieces are cut, as officially."""
        rows = []
        for start in range(0, len(texts), 64):
            ids, mask = self._tokens(texts[start : start + 64])
            device = self._settings.device
            rows.append(self._network.embed_text(ids.to(device), mask.to(device)).float().cpu())
        return torch.cat(rows)

    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides a row."""
        s = self._settings
        crops = "the whole and three crops" if self._fusion else "one crop"
        return {
            "checkpoint": self._digest,
            "model": f"laion-clap, HTSAT {self._network.config.width}, {'' if self._fusion else 'no '}fusion",
            "tokenizer": s.tokenizer if self._digest != "random" else "bytes",
            "loudness": "as it is" if s.peak is None else f"peak {s.peak:g} dBFS, silence left",
            "quantisation": "16 bits, towards zero",
            "resampler": f"soxr-hq to {SAMPLE_RATE} Hz",
            "channels": "averaged at the file's rate",
            "windows": f"10 s, repeated and filled up; longer: {crops}, drawn by the clip, no antialias",
            "precision": s.precision,
        }

    def _levelled(self, clip: Tensor, rate: int) -> Tensor:
        """float32[time] at 48 kHz."""
        samples = resample(to_channels(clip, 1), rate, SAMPLE_RATE)
        samples = samples if self._settings.peak is None else peak_normalised(samples, self._settings.peak)
        return ((samples.clamp(-1, 1) * 32767).trunc() / 32767)[0]

    def _mels(self, samples: Tensor) -> Tensor:
        """float32[1 or 4, 1001, 64]."""
        mels: Tensor
        if len(samples) <= LONGEST:
            repeated = samples.repeat(LONGEST // len(samples))
            mels = self._front_end(F.pad(repeated, (0, LONGEST - len(repeated)))[None])
            return mels
        seed = hashed_seed("clap", samples_digest(samples[None], SAMPLE_RATE))
        stream = torch.Generator().manual_seed(seed)
        if not self._fusion:
            start = _drawn(range(len(samples) - LONGEST + 1), stream)
            mels = self._front_end(samples[None, start : start + LONGEST])
            return mels
        mels = self._front_end(samples[None])
        mel = mels[0]
        if len(mel) == FRAMES:
            return mels
        whole = F.interpolate(mel[None, None], (FRAMES, mel.shape[1]), mode="bilinear")[0]
        starts = [_drawn(part, stream) for part in thirds(len(mel) - FRAMES + 1)]
        return torch.cat([whole, *(mel[None, start : start + FRAMES] for start in starts)])

    def _placed(self, mels: Tensor) -> Tensor:
        return mels.to(self._settings.device, getattr(torch, self._settings.precision))


def thirds(count: int) -> list[range]:
    """0..count-1 in three consecutive parts, the first ones longer by one; where one is empty, 0 alone."""
    ends = [0]
    for part in range(3):
        ends.append(ends[-1] + count // 3 + (part < count % 3))
    return [range(start, end) if end > start else range(1) for start, end in pairwise(ends)]


def _drawn(choices: range, stream: torch.Generator) -> int:
    return choices[int(torch.randint(len(choices), (), generator=stream))]
