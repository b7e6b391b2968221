"""Recordings encoded once, then read as often as a training likes.

An encoding (features or latents) is computed for every clip of a source and kept in shards on disk,
named by the digest of source and encoding. What cannot be read is reported, never passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arc_eval import registry
from arc_eval.contracts import DataSource, Progress
from arc_eval.errors import TrainingError
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import hashed_seed
from arc_eval.training.lost import Lost, settle
from arc_eval.training.preparation import Encoding, prepared
from arc_eval.training.recipe import Recipe
from arc_eval.training.shards import SHARD, Job, Row, Shard

__all__ = ["Encoded", "Encoding", "batch_indices", "encode"]


@dataclass(frozen=True)
class Encoded:
    """Encoded clips and their prompts, in the source's order, without the recordings that were lost.

    Each prompt asks for the length that its clip has, in seconds, whatever the list said: that is what
    a generator will be asked for.
    """

    prompts: tuple[Prompt, ...]
    shards: tuple[Shard, ...]
    digest: str
    lost: tuple[Lost, ...] = ()

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(
        self,
        indices: Tensor,  # int64[clip]
    ) -> Tensor:
        """float32[clip, feature, frame]."""
        shards = np.searchsorted(self._ends, indices.numpy(), side="right").tolist()
        found = [
            self.shards[shard].encoded[i - self._ends[shard]]  # counted from the end: negative
            for shard, i in zip(shards, indices.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(found)).float()

    def mask(
        self,
        indices: Tensor,  # int64[clip]
    ) -> Tensor:
        """bool[clip, frame]: which frames hold sound; the others are the silence after it."""
        frames = next(shard.encoded.shape[-1] for shard in self.shards if len(shard))
        return torch.arange(frames) < self._frames[indices][:, None]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a manifest says of the data: its digest, how many clips and seconds, what was lost."""
        seconds = round(sum(prompt.seconds for prompt in self.prompts), 3)
        data = {"examples": len(self), "lost": len(self.lost), "seconds": seconds}
        return {"data_digest": self.digest, "data": data}

    @cached_property
    def _ends(self) -> list[int]:
        return np.cumsum([len(shard) for shard in self.shards]).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _frames(self) -> Tensor:
        return torch.cat([shard.frames for shard in self.shards])


def encode_for(recipe: Recipe, encoding: Encoding, cache: Path, progress: Progress) -> Encoded:
    """The recordings that a recipe asks for, encoded. Raises TrainingError as `encode` does."""
    return encode(
        recipe.data,
        recipe.examples,
        encoding,
        cache,
        progress,
        crops=recipe.crops,
        max_lost=recipe.max_lost,
    )


def encode(
    source: Mapping[str, Any],
    examples: int | None,
    encoding: Encoding,
    cache: Path,
    progress: Progress,
    *,
    crops: int = 1,
    max_lost: float = 0.0,
) -> Encoded:
    """Encodes the first `examples` clips of a source (None: all), take after take of every prompt.

    A recording that is longer than the encoding's window gives one part of it, in a place that its
    name decides; `crops` of them, if more are asked for, after all recordings have given their first.
    Raises TrainingError if the source has too few recordings or another sample rate, or if more than
    the share `max_lost` of its recordings cannot be used; `lost.json` beside the shards lists those.
    """
    data: DataSource = registry.settings("data", source, "recipe: data").build()
    window = encoding.window
    if data.sample_rate != window.sample_rate:
        raise TrainingError(
            f"recipe: data: its recordings have {data.sample_rate} Hz, what encodes them reads "
            f"{window.sample_rate} Hz; set data.sample_rate={window.sample_rate} if the source has that "
            "option, or take another autoencoder"
        )
    prompts = data.prompts()
    rows = _rows(prompts, data.takes(), crops, examples)
    jobs = [Job(first, tuple(rows[first : first + SHARD])) for first in range(0, len(rows), SHARD)]
    shards, filled = prepared(source, data.identity(), encoding, jobs, cache, progress)
    lost = tuple({(one.recording, one.take): one for shard in filled for one in shard.lost}.values())
    settle(lost, len({(row.prompt, row.take) for row in rows}), max_lost, shards.folder)
    kept = tuple(
        replace(prompts[number % len(prompts)], seconds=samples / window.sample_rate)
        for shard in filled
        for number, samples in zip(shard.row.tolist(), shard.samples.tolist(), strict=True)
    )
    return Encoded(kept, tuple(filled), shards.digest, lost)


def _rows(prompts: Sequence[Prompt], takes: int, crops: int, examples: int | None) -> list[Row]:
    """Every prompt's first take, then every prompt's second, ...; all of it again for each further crop."""
    there = [
        Row(prompt.id, take, crop) for crop in range(crops) for take in range(takes) for prompt in prompts
    ]
    if not there:
        raise TrainingError("recipe: data: a list of prompts without recordings; training needs both")
    if examples is not None and examples > len(there):
        raise TrainingError(
            f"recipe: examples: {examples} asked, the source has {len(there)}; "
            "ask for fewer, or for more `crops` of each recording, or leave `examples` out to take all"
        )
    return there[:examples]


def batch_indices(examples: int, batch: int, seed: int, step: int) -> Tensor:
    """int64[batch]: which examples step `step` sees. Epochs are permutations, read end to end.

    A pure function of the step's number, so that a resumed training sees no example twice. A batch may
    hold the end of an epoch and the beginning of the next, or, if it is larger than the data, whole
    epochs: only then does an example stand in it more than once.
    """
    positions = torch.arange(step * batch, (step + 1) * batch)
    epochs = positions // examples
    parts = [
        _order(examples, seed, epoch)[positions[epochs == epoch] % examples]
        for epoch in sorted(set(epochs.tolist()))
    ]
    return torch.cat(parts)


@lru_cache(maxsize=2)  # a step's batch may hold the end of one epoch and the beginning of the next
def _order(examples: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(
        examples, generator=torch.Generator().manual_seed(hashed_seed("epoch", seed, epoch))
    )
