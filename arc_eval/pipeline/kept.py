"""Where a suite is judged by kept statistics, not by recordings: what they give, and if they may be used."""

from collections.abc import Mapping, Sequence

import torch

from arc_eval.contracts import DataSource, Extractor, Metric
from arc_eval.offers import Summarised
from arc_eval.pipeline.extract import Described
from arc_eval.pipeline.pool import together
from arc_eval.pipeline.recordings import declared_missing
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.prompt import Prompt
from arc_eval.records.summary import Summary
from arc_eval.store import digest_of, tensors_digest
from arc_eval.suite import Part, Suite


def require_equal_ears(suite: Suite, extractors: Mapping[str, Part]) -> None:
    """Asks the kept statistics for every extractor that a metric reads, before anything is computed.

    Raises NotComparableError, naming the fields, if they were made by an extractor that listens otherwise.
    """
    metrics: list[Metric] = [part.build() for part in suite.metrics]
    read = {metric.extractor for metric in metrics}
    sources: list[DataSource] = [part.build() for part in (suite.reference, suite.recordings) if part]
    kept = [source for source in sources if isinstance(source, Summarised)]
    if not kept:
        return
    ears = zip(extractors.items(), together(tuple(extractors.values())), strict=True)
    for (name, part), extractor in ears:
        for source in kept:
            if name in read:
                kept_summary(source, name, part.kind, extractor)


def kept_summary(source: DataSource, name: str, kind: str, extractor: Extractor) -> Summary | None:
    """What this extractor of the suite said of a source's recordings; None if nothing is kept of that."""
    return source.summary(name, kind, extractor.fingerprint()) if isinstance(source, Summarised) else None


def kept_labels(
    summary: Summary, recorded: DataSource, prompts: Sequence[Prompt], takes: int
) -> Described | None:
    """The kept logits as those of recordings of the prompts; None if there are none.

    Lost are prompts whose recordings are neither kept nor declared missing.
    """
    if summary.labels is None:
        return None
    missing = declared_missing(recorded)
    absent = frozenset(missing.recordings) if missing else frozenset()
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(summary.labels.owners):
        places.setdefault(owner.rpartition("#")[0], []).append(place)
    owners: list[str] = []
    rows: list[int] = []
    lost = {}
    for prompt in prompts:
        name = prompt.id if summary.named_by == "prompt" else prompt.unit
        if name in places:
            found = places[name][:takes]
            owners += [clip_id(prompt.id, take) for take in range(len(found))]
            rows += found
        elif prompt.unit not in absent:
            lost[clip_id(prompt.id, 0)] = f"the kept statistics have no recording {name!r}"
    values = summary.labels.values[torch.tensor(rows, dtype=torch.long)]
    digest = digest_of([tensors_digest({"logits": values}), owners])
    return Described(Embedding(values, tuple(owners), summary.fingerprint), digest, lost)
