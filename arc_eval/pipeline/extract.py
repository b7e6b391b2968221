"""The second stage: audio and captions to rows of numbers, kept in packs of a few clips.

A pack is named by the content of its clips and the extractor's fingerprint, so the same audio is
never described twice, whoever made it, and a kill loses one pack at most.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arc_eval.code import code_digest
from arc_eval.contracts import Extractor, Labelled, Progress, TextExtractor
from arc_eval.errors import StoreError
from arc_eval.pipeline.gathered import Gathered
from arc_eval.pipeline.hearing import heard_by, readers
from arc_eval.pipeline.items import Item
from arc_eval.pipeline.pool import Pool, batches, one_thread, together
from arc_eval.records.embedding import Embedding
from arc_eval.records.prompt import Prompt
from arc_eval.records.repeated import Repeated
from arc_eval.store import Store, digest_of, source_digest
from arc_eval.suite import Part

KIND = "embeddings"
PACK = 20
"""Clips described together."""


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
    packs = [
        _Pack(tuple("" if store.holds(KIND, key) else key for key in of_group), group)
        for *of_group, group in zip(*keys, groups, strict=True)
    ]
    wanted = [pack for pack in packs if any(pack.keys)]
    if wanted:
        with progress(title, sum(len(pack.items) for pack in wanted)) as advance:
            for pack in pool.each(partial(_fill, order, store.root), wanted):
                advance(len(pack.items))

    def read(place: int, number: int) -> Mapping[str, Tensor]:
        """One extractor's rows of one group; made again if they were damaged on disk."""
        key = keys[place][number]
        found = store.read_tensors(KIND, key)
        if found is None:
            with one_thread():
                lacking = tuple(key if other == place else "" for other in range(len(order)))
                _fill(order, store.root, _Pack(lacking, groups[number]))
            found = store.read_tensors(KIND, key)
        if found is None:
            raise StoreError(
                f"{store.root}: an embedding was damaged right after it was written; is the disk sound?"
            )
        return found

    return {
        name: _assembled(extractor, groups, keys[place], partial(read, place), store)
        for place, (name, extractor) in enumerate(zip(parts, extractors, strict=True))
    }


def _keys(extractor: Extractor, groups: Sequence[Sequence[Item]]) -> list[str]:
    decides = {
        "extractor": dict(extractor.fingerprint()),
        "code": code_digest(extractor),
        "heard by": source_digest("arc_eval.pipeline.hearing", "arc_eval.dsp", "arc_eval.models.precision"),
    }
    return [digest_of({**decides, "items": [item.origin for item in group]}) for group in groups]


def _assembled(
    extractor: Extractor,
    groups: Sequence[Sequence[Item]],
    keys: Sequence[str],
    read: Callable[[int], Mapping[str, Tensor]],
    store: Store,
) -> Described:
    """One extractor's packs as one table."""
    rows = Gathered(store.root)
    counts: list[int] = []
    lost: dict[str, str] = {}
    for number, group in enumerate(groups):
        tensors = read(number)
        reasons = json.loads(tensors["reasons"].numpy().tobytes())
        lost |= {item.owner: reason for item, reason in zip(group, reasons, strict=True) if reason}
        rows.add(tensors["rows"])
        counts += tensors["counts"].tolist()
    owners = [item.owner for group in groups for item in group]
    embedding = Embedding(rows.table(), Repeated(owners, counts), dict(extractor.fingerprint()))
    digest = digest_of([list(keys), owners])
    labels = tuple(extractor.labels) if isinstance(extractor, Labelled) else ()
    return Described(embedding, digest, lost, labels)


def describe_captions(extractor: Extractor, prompts: Sequence[Prompt], store: Store) -> Described | None:
    """One row for each prompt, owned by its id; None for an extractor that does not read captions."""
    if not isinstance(extractor, TextExtractor):
        return None
    texts = [prompt.text for prompt in prompts]
    fingerprint = dict(extractor.fingerprint())
    key = digest_of({"extractor": fingerprint, "code": code_digest(extractor), "texts": texts})
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
