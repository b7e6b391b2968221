"""Statistics of a suite's recordings, to be kept and shared in the place of the audio."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from arc_eval.contracts import DataSource, Progress, silent
from arc_eval.errors import IncompleteError, SuiteError
from arc_eval.pipeline.extract import Described, describe
from arc_eval.pipeline.items import reference_items
from arc_eval.pipeline.pool import Pool
from arc_eval.pipeline.recordings import declared_missing
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.summary import Moments, Summary
from arc_eval.store import Store
from arc_eval.suite import Part, Suite, apply_override, parse_suite
from arc_eval.suite.file import SuiteFile
from arc_eval.summaries import Summaries

Which = Literal["reference", "recordings"]


def folder_set(folder: Path, extractors: Sequence[str], overrides: Sequence[str] = ()) -> Suite:
    """A suite around a folder of recordings. Raises SuiteError for an unknown extractor, DataError."""
    if not extractors:
        raise SuiteError(f"{folder} is a folder: say which extractors shall describe it (--extractors)")
    source = {"kind": "folder", "path": str(folder)}
    data: dict[str, Any] = {
        "name": folder.resolve().name,
        "prompts": source,
        "reference": source,
        "extractors": {name: {"kind": name} for name in extractors},
    }
    for text in overrides:
        apply_override(data, text)
    return parse_suite(data, SuiteFile(Path("reference"), data))


def summarise(
    suite: Suite,
    of: Which = "reference",
    *,
    store: Store,
    workers: int = 1,
    progress: Progress = silent,
) -> Summaries:
    """What every extractor of the suite says of its reference, or of the recordings of its prompts.

    Each recording counts once. Raises DataError if there are none; IncompleteError if one that was not
    declared missing could not be described, for a smaller set is another set.
    """
    part = suite.reference if of == "reference" else suite.recordings or suite.prompts
    source: DataSource = part.build()
    takes = [reference_items(part, source, take) for take in range(max(source.takes(), 1))]
    with Pool(workers) as pool:

        def heard(parts: Mapping[str, Part], take: int) -> dict[str, Described]:
            found = describe(parts, takes[take], store, pool, progress, "listen: recordings")
            for name, described in found.items():
                _require_whole(name, described, len(takes[take]))
            return found

        first = heard(suite.extractors, 0)
        labelled = {name: suite.extractors[name] for name, found in first.items() if found.labels}
        every = [first, *(heard(labelled, take) for take in range(1, len(takes)))]
    units = {prompt.id: prompt.unit for prompt in source.prompts()}
    summaries = {}
    for name, found in first.items():
        labels = _labels([of_take[name].rows for of_take in every], units) if name in labelled else None
        fingerprint = found.rows.fingerprint
        summaries[name] = Summary(suite.extractors[name].kind, fingerprint, moments(found.rows), labels)
    return Summaries(dict(source.identity()), summaries, declared_missing(source))


def _labels(takes: Sequence[Embedding], units: Mapping[str, str]) -> Embedding | None:
    """Each recording's logits, take by take; None where one has several rows: which of them is a pair's?"""
    if any(len(set(rows.owners)) < len(rows) for rows in takes):
        return None
    owners = [clip_id(units[owner], take) for take, rows in enumerate(takes) for owner in rows.owners]
    return Embedding(torch.cat([rows.values for rows in takes]), tuple(owners), takes[0].fingerprint)


def moments(rows: Embedding) -> Moments:
    """Mean and covariance of float32[row, feature]. Raises IncompleteError for fewer than two rows."""
    values = rows.values.double()
    if len(values) < 2:
        raise IncompleteError(f"a covariance needs at least 2 rows; the recordings gave {len(values)}")
    mean = values.mean(0)
    centred = values - mean
    covariance = centred.T @ centred / (len(values) - 1)
    return Moments(mean, covariance, len(values), len(set(rows.owners)))


def _require_whole(name: str, found: Described, asked: int) -> None:
    if found.lost:
        owner, reason = next(iter(found.lost.items()))
        raise IncompleteError(
            f"{len(found.lost)} of {asked} recordings were not described by {name}; {owner}: {reason}. Mend "
            "them, or declare them missing: nothing was written"
        )
    broken = ~found.rows.values.isfinite().all(1)
    if broken.any():
        first = found.rows.owners[int(broken.nonzero()[0])]
        raise IncompleteError(f"{name} gave {int(broken.sum())} rows that are not finite: {first}, ...")
