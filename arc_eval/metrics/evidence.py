"""What metrics read from the evidence, and how a number becomes a Measurement.

Rows that are not finite are refused here, once: no metric can average a NaN away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from arc_eval import contracts
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError, NotComparableError, suggest
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Direction, Interval, Measurement
from arc_eval.stats import by_prompt, jackknife_interval, mean_interval, prompt_groups, require_prompts

GROUPS = 20
"""Most groups of prompts a jackknife leaves out in turn: enough for its interval, and affordable."""


class Settings(contracts.Settings):
    """What every metric is told: whose rows to read, by the extractor's name in the suite."""

    extractor: str


@dataclass(frozen=True)
class Rows:
    """Rows of one extractor in double precision.

    values: float64[row, feature], finite; owners: clip of each row; prompts: its prompt.
    """

    values: Tensor
    owners: tuple[str, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompt id of each row."""
        return tuple(owner.rsplit("#", 1)[0] for owner in self.owners)

    @property
    def clips(self) -> int:
        """How many different clips the rows are of."""
        return len(set(self.owners))

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
    generated = rows(evidence.generated, extractor, "generated clips", minimum)
    reference = rows(evidence.reference, extractor, "reference recordings", minimum)
    ours, theirs = evidence.generated[extractor].fingerprint, evidence.reference[extractor].fingerprint
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if differing:
        fields = ", ".join(differing)
        raise NotComparableError(f"{extractor!r} described clips and reference with different {fields}")
    return Sides(generated, reference)


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
    broken = ~embedding.values.isfinite().all(1)
    if broken.any():
        first = embedding.owners[int(broken.nonzero()[0])]
        count = int(broken.sum())
        raise IncompleteError(f"{extractor!r} gave {count} rows of {what} that are not finite: {first}, ...")
    return Rows(embedding.values.double(), embedding.owners)


def clip_means(described: Rows) -> Rows:
    """One row for each clip: the mean of its windows. Clips in order of first appearance."""
    owners = tuple(dict.fromkeys(described.owners))
    if len(owners) == len(described):
        return described
    place = {owner: index for index, owner in enumerate(owners)}
    index = torch.tensor([place[owner] for owner in described.owners])
    totals = described.values.new_zeros(len(owners), described.values.shape[1])
    totals.index_add_(0, index, described.values)
    return Rows(totals / index.bincount().double().unsqueeze(1), owners)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances float64[row of a, row of b], the same bits however the rows are blocked."""
    # The matrix product form is faster, but rounds by the shape of the block: a neighbour could lie
    # strictly inside the ball that it defines, and twins at some distance from each other.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class PromptGroups:
    """Groups of prompts for the jackknife: of: int64[row], the group of each row; sizes: prompts in each."""

    of: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def deal(cls, prompts: Sequence[str]) -> "PromptGroups":
        """Deals the prompts of rows into at most GROUPS groups."""
        distinct = sorted(set(prompts))
        count = min(GROUPS, len(distinct))
        sizes = torch.tensor(prompt_groups(distinct, count)).bincount().tolist()
        return cls(torch.tensor(prompt_groups(prompts, count)), tuple(sizes))

    def __len__(self) -> int:
        return len(self.sizes)

    def interval(
        self, value: float, left_out: Callable[[], Sequence[float]], bounds: tuple[float, float]
    ) -> Interval:
        """Jackknife interval; `left_out()` gives the statistic without each group, `bounds` its range.

        Raises IncompleteError, before any work, if there are too few groups.
        """
        require_prompts(len(self))
        return jackknife_interval(value, left_out(), self.sizes, bounds=bounds)


def measurement(
    metric: str,
    value: float,
    unit: str,
    direction: Direction,
    counts: Counts,
    interval: Callable[[], Interval],
) -> Measurement:
    """The number with its interval, or with the reason why `interval` can give none."""
    try:
        found, reason = interval(), ""
    except IncompleteError as error:
        found, reason = None, str(error)
    return Measurement(metric, value, unit, direction, counts, found, reason)


def mean_measurement(
    metric: str,
    scores: Mapping[str, float],
    unit: str,
    direction: Direction,
    counts: Counts,
    interval: Callable[[Mapping[str, Sequence[float]]], Interval] = mean_interval,
) -> Measurement:
    """The mean of a score for each clip, with an interval over prompts.

    Raises IncompleteError if no clip has a score: a mean of nothing is not zero.
    """
    if not scores:
        raise IncompleteError(f"{metric}: no clip could be scored ({counts})")
    value = sum(scores.values()) / len(scores)
    narrowed = replace(counts, scored=len(scores))
    return measurement(metric, value, unit, direction, narrowed, lambda: interval(by_prompt(scores)))
