"""What metrics read from the evidence, and how a number becomes a Measurement.

Rows that are not finite are refused here, once: no metric can average a NaN away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from arc_eval import contracts
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError, NotComparableError, suggest
from arc_eval.influence import influence_interval, mean_influence
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Direction, Influence, Interval, Measurement
from arc_eval.records.repeated import Repeated
from arc_eval.stats import by_prompt, mean_interval

BLOCK = 2**22
"""Bytes, in float64, looked at together where all rows may not fit into memory: what a cache holds."""


class Settings(contracts.Settings):
    """What every metric is told: whose rows to read, by the extractor's name in the suite."""

    extractor: str


@dataclass(frozen=True)
class Rows:
    """Rows of one extractor.

    described: float32[row, feature] as the extractor gave them, or float64, finite; owners: clip of each
    row; clusters: of `Evidence`.
    """

    described: Tensor
    owners: Sequence[str]
    clusters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def values(self) -> Tensor:
        """float64[row, feature], all at once; `described` in blocks takes less memory."""
        return self.described.double()

    @cached_property
    def prompts(self) -> Repeated:
        """The prompt id of each row."""
        return Repeated.of(self.owners).renamed(lambda owner: owner.rsplit("#", 1)[0])

    @cached_property
    def units(self) -> Repeated:
        """What intervals resample or leave out with each row: its prompt, or all prompts of a recording."""
        return self.prompts.renamed(lambda prompt: self.clusters.get(prompt, prompt))

    @property
    def clips(self) -> int:
        """How many different clips the rows are of."""
        return len(set(Repeated.of(self.owners).names))

    def __len__(self) -> int:
        return len(self.owners)


@dataclass(frozen=True)
class Sides:
    """The system's rows and the reference recordings' rows."""

    generated: Rows
    reference: Rows


def sides(evidence: Evidence, extractor: str, minimum: int) -> Sides:
    """Both sets of rows, at least `minimum` each.

    Raises IncompleteError as `rows` does, NotComparableError if they were extracted differently.
    """
    generated = generated_rows(evidence, extractor, minimum)
    if extractor in evidence.moments:
        raise IncompleteError(
            "the reference is statistics, mean and covariance; this needs recordings' rows: let `reference` "
            "name the audio"
        )
    reference = rows(evidence.reference, extractor, "reference recordings", minimum)
    ours, theirs = evidence.generated[extractor].fingerprint, evidence.reference[extractor].fingerprint
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if differing:
        raise NotComparableError(
            f"{extractor!r} described clips and reference with different {', '.join(differing)}"
        )
    return Sides(generated, reference)


def generated_rows(evidence: Evidence, extractor: str, minimum: int = 1) -> Rows:
    """The system's rows, with the units of its prompts. Raises as `rows`."""
    return replace(
        rows(evidence.generated, extractor, "generated clips", minimum), clusters=evidence.clusters
    )


def rows(embeddings: Mapping[str, Embedding], extractor: str, what: str, minimum: int = 1) -> Rows:
    """The rows of one extractor. `what` names the set in errors: "generated clips", ...

    Raises IncompleteError if the extractor described none of them, fewer than `minimum` rows, or
    described one by a number that is not finite.
    """
    if extractor not in embeddings:
        raise IncompleteError(f"no {what} described by {extractor!r}; {suggest(extractor, embeddings)}")
    embedding = embeddings[extractor]
    if len(embedding) < minimum:
        raise IncompleteError(f"{len(embedding)} rows of {what} by {extractor!r}; at least {minimum} needed")
    broken = for_each_row(lambda block: ~block.isfinite().all(1), embedding.values, torch.bool)
    if broken.any():
        first = embedding.owners[int(broken.nonzero()[0])]
        count = int(broken.sum())
        raise IncompleteError(f"{extractor!r} gave {count} rows of {what} that are not finite: {first}, ...")
    return Rows(embedding.values, embedding.owners)


def row_blocks(rows: Tensor) -> Sequence[Tensor]:
    """[row, feature], some thousand rows at a time: less is in memory than of all of them."""
    return torch.tensor_split(rows, blocks(*rows.shape))


def blocks(rows: int, features: int) -> int:
    """Into how many near equal blocks so many rows are divided, each of four times as many as features."""
    length = max(BLOCK // (8 * max(1, features)), 4 * features)
    return max(1, rows // max(1, length))


def for_each_row(of: Callable[[Tensor], Tensor], rows: Tensor, dtype: torch.dtype) -> Tensor:
    """[row], what `of` says of each of the rows [row, feature], asked block by block."""
    # Into one tensor: a small one kept of every block would leave holes in memory that no block fits into.
    found = torch.empty(len(rows), dtype=dtype)
    parts = row_blocks(rows)
    for block, told in zip(parts, torch.tensor_split(found, len(parts)), strict=True):
        told.copy_(of(block))
    return found


def clip_means(described: Rows) -> Rows:
    """One row for each clip: the mean of its windows. Clips in order of first appearance."""
    each = Repeated.of(described.owners)
    owners = tuple(dict.fromkeys(each.names))
    if len(owners) == len(described):
        return described
    place = {owner: index for index, owner in enumerate(owners)}
    index = each.each(place.__getitem__)
    totals = described.values.new_zeros(len(owners), described.values.shape[1])
    totals.index_add_(0, index, described.values)
    return Rows(totals / index.bincount().double().unsqueeze(1), owners, described.clusters)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances float64[row of a, row of b], the same bits however the rows are blocked."""
    # The matrix product form is faster, but rounds by the shape of the block: a neighbour could lie
    # strictly inside the ball that it defines, and twins at some distance from each other.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def measurement(
    metric: str,
    value: float,
    unit: str,
    direction: Direction,
    counts: Counts,
    interval: Callable[[], Interval],
    influence: Influence | None = None,
) -> Measurement:
    """The number with its interval, or with the reason why `interval` can give none."""
    try:
        found, reason = interval(), ""
    except IncompleteError as error:
        found, reason = None, str(error)
    return Measurement(metric, value, unit, direction, counts, found, reason, influence or {})


def set_measurement(
    metric: str,
    influence: Callable[[], Influence],
    value: float,
    direction: Direction,
    counts: Counts,
    bounds: tuple[float, float],
    unit: str = "",
) -> Measurement:
    """A number of the whole set, with the interval that each prompt's influence gives.

    A reason stands in the interval's place where `influence` raises IncompleteError; `bounds` are those
    of the statistic itself.
    """
    try:
        found = influence()
        interval, reason = influence_interval(found, value, bounds=bounds), ""
    except IncompleteError as error:
        found, interval, reason = {}, None, str(error)
    return Measurement(metric, value, unit, direction, counts, interval, reason, found)


def mean_measurement(
    metric: str,
    scores: Mapping[str, float],
    unit: str,
    direction: Direction,
    evidence: Evidence,
    interval: Callable[[Mapping[str, Sequence[float]]], Interval] = mean_interval,
) -> Measurement:
    """The mean of a score for each clip, with an interval over prompts, or over their recordings.

    Raises IncompleteError if no clip has a score: a mean of nothing is not zero.
    """
    if not scores:
        raise IncompleteError(f"{metric}: no clip could be scored ({evidence.counts})")
    groups = by_prompt(scores, evidence.clusters)
    value = sum(scores.values()) / len(scores)
    narrowed = replace(evidence.counts, scored=len(scores))
    # A share's own interval knows that none seen is not none possible; the spread of prompts does not.
    influence = mean_influence(groups) if interval is mean_interval else {}
    return measurement(metric, value, unit, direction, narrowed, lambda: interval(groups), influence)
