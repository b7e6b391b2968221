"""The second stage: audio and captions to rows of numbers, kept in packs of a few clips.

A pack is named by the content of its clips and the extractor's fingerprint, so the same audio is
never described twice, whoever made it, and a kill loses one pack at most.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arc_eval.contracts import DataSource, Extractor, Labelled, Progress, TextExtractor
from arc_eval.errors import AudioError, DataError, StoreError
from arc_eval.pipeline.alter import Readable
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.hearing import heard_by, readers
from arc_eval.pipeline.pool import Pool, batches, built, together
from arc_eval.pipeline.recordings import obtainable, one_of_each
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.prompt import Prompt
from arc_eval.store import Store, code_digest, digest_of
from arc_eval.suite import Part

KIND = "embeddings"
PACK = 20
"""Clips described together."""


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
    """Clips to describe; for each extractor the key of what is not there yet, else ""."""

    keys: tuple[str, ...]
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
    parts: Mapping[str, Part], items: Sequence[Item], store: Store, pool: Pool, progress: Progress, title: str
) -> dict[str, Described]:
    """Each extractor's rows of every item that it could describe, in order, and why not of the others.

    A clip is read once, whatever the number of extractors that still have to hear it.
    """
    order = tuple(parts.values())
    extractors: tuple[Extractor, ...] = together(order)
    groups = batches(items, PACK)
    keys = [_keys(extractor, groups) for extractor in extractors]
    found = {key: store.read_tensors(KIND, key) for key in chain.from_iterable(keys)}
    wanted = [
        _Pack(tuple(key if found[key] is None else "" for key in of_group), group)
        for *of_group, group in zip(*keys, groups, strict=True)
        if any(found[key] is None for key in of_group)
    ]
    if wanted:
        with progress(title, sum(len(pack.items) for pack in wanted)) as advance:
            for pack in pool.each(partial(_fill, order, store.root), wanted):
                found |= {key: store.read_tensors(KIND, key) for key in pack.keys if key}
                advance(len(pack.items))
    return {
        name: _assembled(extractor, groups, [(key, found[key]) for key in own], store)
        for name, extractor, own in zip(parts, extractors, keys, strict=True)
    }


def _keys(extractor: Extractor, groups: Sequence[Sequence[Item]]) -> list[str]:
    decides = {
        "extractor": dict(extractor.fingerprint()),
        "code": code_digest(extractor, "arc_eval.models", "arc_eval.dsp"),
    }
    return [digest_of({**decides, "items": [item.origin for item in group]}) for group in groups]


def _assembled(
    extractor: Extractor,
    groups: Sequence[Sequence[Item]],
    found: Sequence[tuple[str, Mapping[str, Tensor] | None]],
    store: Store,
) -> Described:
    """One extractor's packs as one table."""
    rows: list[Tensor] = []
    owners: list[str] = []
    lost: dict[str, str] = {}
    for group, (_, tensors) in zip(groups, found, strict=True):
        if tensors is None:
            raise StoreError(
                f"{store.root}: an embedding was damaged right after it was written; is the disk sound?"
            )
        reasons = json.loads(tensors["reasons"].numpy().tobytes())
        lost |= {item.owner: reason for item, reason in zip(group, reasons, strict=True) if reason}
        if len(tensors["rows"]):
            rows.append(tensors["rows"])
        for item, count in zip(group, tensors["counts"].tolist(), strict=True):
            owners += [item.owner] * count
    values = torch.cat(rows) if rows else torch.zeros(0, 0)
    embedding = Embedding(values, tuple(owners), dict(extractor.fingerprint()))
    digest = digest_of([[key for key, _ in found], [item.owner for group in groups for item in group]])
    labels = tuple(extractor.labels) if isinstance(extractor, Labelled) else ()
    return Described(embedding, digest, lost, labels)


def describe_captions(extractor: Extractor, prompts: Sequence[Prompt], store: Store) -> Described | None:
    """One row for each prompt, owned by its id; None for an extractor that does not read captions."""
    if not isinstance(extractor, TextExtractor):
        return None
    texts = [prompt.text for prompt in prompts]
    fingerprint = dict(extractor.fingerprint())
    key = digest_of(
        {"extractor": fingerprint, "code": code_digest(extractor, "arc_eval.models"), "texts": texts}
    )
    known = store.read_tensors(KIND, key)
    if known is None:
        known = {"rows": extractor.embed_text(texts).float()}
        store.write_tensors(KIND, key, known)
    return Described(Embedding(known["rows"], tuple(prompt.id for prompt in prompts), fingerprint), key, {})


def _fill(parts: tuple[Part, ...], root: Path, pack: _Pack) -> _Pack:
    """Describes a pack's clips by the extractors that lack them, and publishes their rows."""
    wanted = [(key, each) for key, each in zip(pack.keys, together(parts), strict=True) if key]
    described = heard_by([extractor for _, extractor in wanted], pack.items, readers(parts))
    for (key, _), of_clips in zip(wanted, described, strict=True):
        rows = [row for row, _ in of_clips if len(row)]
        reasons = json.dumps([reason for _, reason in of_clips]).encode()
        tensors = {
            "rows": torch.cat(rows) if rows else torch.zeros(0, 0),
            "counts": torch.tensor([len(row) for row, _ in of_clips]),
            "reasons": torch.from_numpy(np.frombuffer(reasons, np.uint8).copy()),
        }
        Store(root).write_tensors(KIND, key, tensors)
    return pack
