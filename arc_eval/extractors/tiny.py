"""The tiny family's extractors: what the suite measures with on a machine that has nothing else.

Their results carry their names (`fd[tiny-clap]`) and say nothing about the published metrics. Clips
are heard at 44.1 kHz in stereo, mono being copied to both sides, at the level they have.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arc_eval.contracts import Settings
from arc_eval.models.audio_encoder import AudioEncoderConfig
from arc_eval.models.extractor_weights import load_clap, load_tagger
from arc_eval.models.tiny_extractors import Clap, Tagger
from arc_eval.models.weights import weights_digest
from arc_eval.records.audio import AudioBatch


class ClapSettings(Settings):
    """An audio-text pair: unit vectors of clips and captions."""

    weights: str = "tiny/clap"

    def build(self) -> "ClapExtractor":
        """Loads the weights. Raises CheckpointError if they are not those of an audio-text pair."""
        return ClapExtractor(load_clap(self.weights), weights_digest(self.weights))


class TaggerSettings(Settings):
    """A tagger: logits over the classes of the synthetic sounds."""

    weights: str = "tiny/tagger"

    def build(self) -> "TaggerExtractor":
        """Loads the weights. Raises CheckpointError if they are not those of a tagger."""
        return TaggerExtractor(load_tagger(self.weights), weights_digest(self.weights))


class ClapExtractor:
    """One unit row for each clip, of any length; captions land in the same space."""

    def __init__(self, network: Clap, digest: str) -> None:
        self.network, self.digest = network, digest
        self.sample_rate = network.config.audio.sample_rate

    @torch.inference_mode()
    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip of any length, unit float32[1, feature]."""
        return [self.network.embed_audio(_stereo(clip)).float() for clip in audio]

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit float32[text, feature]; each caption alone, so that the others cannot pad it."""
        return torch.cat([self.network.embed_text([text]) for text in texts])

    def fingerprint(self) -> Mapping[str, str]:
        """Checkpoint, and how a clip is heard: resampler, channels, loudness, window, front end."""
        return _fingerprint(self.digest, self.network.config.audio)


class TaggerExtractor:
    """One row of logits for each clip, of any length."""

    def __init__(self, network: Tagger, digest: str) -> None:
        self.network, self.digest = network, digest
        self.sample_rate = network.config.audio.sample_rate
        self.labels = network.config.labels

    @torch.inference_mode()
    def embed(self, audio: AudioBatch) -> list[Tensor]:
        """Per clip of any length, logits as float32[1, class]."""
        return [self.network(_stereo(clip)).float() for clip in audio]

    def fingerprint(self) -> Mapping[str, str]:
        """Checkpoint, and how a clip is heard: resampler, channels, loudness, window, front end."""
        return _fingerprint(self.digest, self.network.config.audio)


def _stereo(clip: Tensor) -> Tensor:
    """float32[channel, time] to float32[1, 2, time]; the first two channels of many."""
    return (clip[:2] if clip.shape[0] > 1 else clip.expand(2, -1)).unsqueeze(0)


def _fingerprint(digest: str, config: AudioEncoderConfig) -> Mapping[str, str]:
    facts: Mapping[str, Any] = config.model_dump()
    return {
        "checkpoint": digest,
        "resampler": "soxr-hq",
        "channels": "stereo, mono copied",
        "loudness": "as it is",
        "window": "the whole clip, one row",
        "front_end": ", ".join(f"{key}={facts[key]}" for key in ("sample_rate", "n_fft", "hop", "mels")),
    }
