"""Sliced Wasserstein distance: the mean squared 1-D Wasserstein-2 distance over random directions.

On a line the distance is had by sorting, exactly, for any two numbers of rows. Unlike the Fréchet
distance it sees more than means and covariances. Every row counts. Not scaled by the number of features: a
shift by s gives about |s|^2 / features. It falls towards its limit as rows grow.
Source: Rabin et al. 2012; Bonneel et al. 2015.
"""

import math
from dataclasses import dataclass, replace

import torch
from pydantic import PositiveInt
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import set_measurement, sides
from arc_eval.metrics.groups import PromptGroups
from arc_eval.records.measurement import Measurement

_ELEMENTS = 2**22  # numbers of projected rows that exist at a time


def random_directions(count: int, features: int, seed: int) -> Tensor:
    """float64[direction, feature], uniform on the sphere."""
    rng = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randn(count, features, generator=rng, dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=1)


def sorted_distance(
    a: Tensor,  # float64[row, line], each column ascending
    b: Tensor,  # float64[other row, line], each column ascending
) -> Tensor:
    """float64[line], the squared Wasserstein-2 distance of the columns: the integral over all quantiles."""
    n, m = len(a), len(b)
    if n == m:
        return (a - b).square().mean(0)
    # Both quantile functions are steps; between two steps of either the difference is constant. Steps stand
    # at multiples of 1/n and 1/m: as integers over n m they are exact.
    ends = torch.unique(torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]))
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    weight = (ends - starts).double() / (n * m)
    mean: Tensor = weight @ (a[starts // m] - b[starts // n]).square()
    return mean


def sliced_wasserstein(
    generated: Tensor,  # float64[row, feature]
    reference: Tensor,  # float64[row, feature]
    directions: Tensor,  # float64[direction, feature], of length 1
    kept: Tensor | None = None,  # bool[variant, row of generated]
) -> Tensor:
    """float64[variant], the mean over directions; one variant with all rows unless told."""
    kept = torch.ones(1, len(generated), dtype=torch.bool) if kept is None else kept
    step = max(1, _ELEMENTS // max(len(generated), len(reference)))
    totals = torch.zeros(len(kept), dtype=torch.float64)
    for lines in torch.split(directions, step):
        theirs = (reference @ lines.T).sort(0).values
        ours, order = (generated @ lines.T).sort(0)
        for variant, keep in enumerate(kept):
            # What is kept of a sorted column is sorted: one sort serves every variant.
            rest = ours.T[keep[order].T].reshape(len(lines), -1).T
            totals[variant] += sorted_distance(rest, theirs).sum()
    return totals / len(directions)


@dataclass(frozen=True)
class SlicedWasserstein:
    """Sliced Wasserstein distance of the clips to the reference recordings: `sw2[extractor]`."""

    extractor: str
    directions: int
    seed: int

    @property
    def name(self) -> str:
        return f"sw2[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, lower is better; interval by jackknife over groups of prompts."""
        both = sides(evidence, self.extractor, minimum=2)
        ours, theirs = both.generated.values, both.reference.values
        directions = random_directions(self.directions, ours.shape[1], self.seed)
        groups = PromptGroups.deal(both.generated.units)
        value = float(sliced_wasserstein(ours, theirs, directions))

        def left_out() -> list[float]:
            kept = groups.of != torch.arange(len(groups)).unsqueeze(1)
            found: list[float] = sliced_wasserstein(ours, theirs, directions, kept).tolist()
            return found

        counts = replace(evidence.counts, scored=both.generated.clips, rows=len(both.generated))

        def influence() -> dict[str, float]:
            return groups.influence(value, left_out)

        return [set_measurement(self.name, influence, value, "lower", counts, (0.0, math.inf))]


class Settings(shared.Settings):
    """`{kind: sliced_wasserstein, extractor: NAME, directions: 256, seed: 0}`."""

    directions: PositiveInt = 256
    seed: int = 0

    def build(self) -> SlicedWasserstein:
        """The metric of these settings."""
        return SlicedWasserstein(self.extractor, self.directions, self.seed)
