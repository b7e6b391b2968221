"""The second stage: audio and captions to rows of numbers, kept in packs of a few clips.

A pack is named by the content of its clips and the extractor's fingerprint, so the same audio is
never described twice, whoever made it, and a kill loses one pack at most.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arc_eval.contracts import DataSource, Extractor, Labelled, Progress, TextExtractor
from arc_eval.dsp import resample
from arc_eval.errors import ArcEvalError, AudioError, DataError, StoreError
from arc_eval.pipeline.alter import Readable
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.pool import Pool, batches, built
from arc_eval.pipeline.recordings import obtainable, one_of_each
from arc_eval.records.audio import AudioBatch, clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.prompt import Prompt
from arc_eval.store import Store, code_digest, digest_of
from arc_eval.suite import Part

KIND = "embeddings"
PACK = 20
"""Clips described together."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A recording still in its data source."""

    source: Part
    id: str
    take: int

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate. Raises AudioError."""
        source: DataSource = built(self.source)
        samples = source.audio(self.id, self.take)
        if not samples.numel() or not samples.isfinite().all():
            raise AudioError(
                f"{self.id}: the recording is empty or holds samples that are not finite numbers"
            )
        return samples, source.sample_rate


@dataclass(frozen=True)
class Item:
    """Something to describe: who owns the rows, what decides its content, where it is read."""

    owner: str
    origin: Mapping[str, str]
    audio: Readable


@dataclass(frozen=True)
class Described:
    """One extractor's rows of a set of clips, and a digest of what decides them."""

    rows: Embedding
    digest: str
    lost: Mapping[str, str]
    """Owner to the reason why it could not be described."""
    labels: tuple[str, ...] = ()
    """The class of each column, for an extractor whose columns are classes."""


@dataclass(frozen=True)
class _Pack:
    key: str
    items: tuple[Item, ...]


def clip_items(outcomes: Sequence[Outcome]) -> list[Item]:
    """A system's clips; what failed has nothing to describe."""
    return [
        Item(outcome.job.clip, {"clip": outcome.clip.digest}, outcome.clip)
        for outcome in outcomes
        if outcome.clip
    ]


def reference_items(part: Part, source: DataSource, take: int = 0) -> list[Item]:
    """Each recording of a data source (`part`, built) once, owned by the first of its prompts.

    Those declared missing are left out. Raises DataError if the source has no recordings.
    """
    if not source.takes():
        raise DataError("reference: the data source has captions but no recordings; name one with audio")
    identity = _identity(source)
    return [_item(prompt.id, part, identity, prompt, take) for prompt in one_of_each(obtainable(source))]


def paired_items(part: Part, prompts: Sequence[Prompt], takes: int) -> list[Item]:
    """The source's recordings of the prompts that it knows by id, `takes` of each at most.

    Prompts whose recordings were declared missing have none.
    """
    source: DataSource = part.build()
    identity = _identity(source)
    known = {prompt.id: prompt for prompt in obtainable(source)}
    return [
        _item(clip_id(prompt.id, take), part, identity, known[prompt.id], take)
        for prompt in prompts
        if prompt.id in known
        for take in range(min(takes, source.takes()))
    ]


def _identity(source: DataSource) -> dict[str, str]:
    return {**source.identity(), "code": code_digest(source, "arc_eval.dsp")}


def _item(owner: str, part: Part, identity: Mapping[str, str], prompt: Prompt, take: int) -> Item:
    origin = {**identity, "id": prompt.unit, "take": str(take)}
    return Item(owner, origin, Recording(part, prompt.id, take))


def describe(
    part: Part, items: Sequence[Item], store: Store, pool: Pool, progress: Progress, title: str
) -> Described:
    """Rows of every item that could be described, in order, and why the others could not."""
    extractor: Extractor = built(part)
    fingerprint = dict(extractor.fingerprint())
    code = code_digest(extractor, "arc_eval.models", "arc_eval.dsp")
    packs = [
        _Pack(digest_of({"extractor": fingerprint, "code": code, "items": [i.origin for i in group]}), group)
        for group in batches(items, PACK)
    ]
    found = {pack.key: store.read_tensors(KIND, pack.key) for pack in packs}
    wanted = [pack for pack in packs if found[pack.key] is None]
    if wanted:
        with progress(title, sum(len(pack.items) for pack in wanted)) as advance:
            for pack in pool.each(partial(_fill, part, store.root), wanted):
                found[pack.key] = store.read_tensors(KIND, pack.key)
                advance(len(pack.items))
    rows: list[Tensor] = []
    owners: list[str] = []
    lost: dict[str, str] = {}
    for pack in packs:
        tensors = found[pack.key]
        if tensors is None:
            raise StoreError(
                f"{store.root}: an embedding was damaged right after it was written; is the disk sound?"
            )
        reasons = json.loads(tensors["reasons"].numpy().tobytes())
        lost |= {item.owner: reason for item, reason in zip(pack.items, reasons, strict=True) if reason}
        if len(tensors["rows"]):
            rows.append(tensors["rows"])
        for item, count in zip(pack.items, tensors["counts"].tolist(), strict=True):
            owners += [item.owner] * count
    values = torch.cat(rows) if rows else torch.zeros(0, 0)
    embedding = Embedding(values, tuple(owners), fingerprint)
    digest = digest_of([[pack.key for pack in packs], [item.owner for item in items]])
    labels = tuple(extractor.labels) if isinstance(extractor, Labelled) else ()
    return Described(embedding, digest, lost, labels)


def describe_captions(part: Part, prompts: Sequence[Prompt], store: Store) -> Described | None:
    """One row for each prompt, owned by its id; None for an extractor that does not read captions."""
    extractor = built(part)
    if not isinstance(extractor, TextExtractor):
        return None
    texts = [prompt.text for prompt in prompts]
    fingerprint = dict(built(part).fingerprint())
    key = digest_of(
        {"extractor": fingerprint, "code": code_digest(extractor, "arc_eval.models"), "texts": texts}
    )
    known = store.read_tensors(KIND, key)
    if known is None:
        known = {"rows": extractor.embed_text(texts).float()}
        store.write_tensors(KIND, key, known)
    return Described(Embedding(known["rows"], tuple(prompt.id for prompt in prompts), fingerprint), key, {})


def _fill(part: Part, root: Path, pack: _Pack) -> _Pack:
    """Describes a pack's clips and publishes their rows."""
    extractor: Extractor = built(part)
    described = list(_described(extractor, pack.items))
    rows = [row for row, _ in described if len(row)]
    reasons = json.dumps([reason for _, reason in described]).encode()
    tensors = {
        "rows": torch.cat(rows) if rows else torch.zeros(0, 0),
        "counts": torch.tensor([len(row) for row, _ in described]),
        "reasons": torch.from_numpy(np.frombuffer(reasons, np.uint8).copy()),
    }
    Store(root).write_tensors(KIND, pack.key, tensors)
    return pack


def _described(extractor: Extractor, items: Sequence[Item]) -> Iterator[tuple[Tensor, str]]:
    """Rows and "", or no rows and the reason, for each item. One at a time: lengths and channels differ."""
    for item in items:
        try:
            samples, rate = item.audio.read()
            wanted = extractor.sample_rate or rate
            samples = resample(samples, rate, wanted)
            yield extractor.embed(AudioBatch.of([samples], wanted))[0].float(), ""
        except StoreError:
            raise
        except ArcEvalError as error:
            log.warning("%s: not described: %s", item.owner, error)
            yield torch.zeros(0, 0), str(error)
