"""Fréchet distance between Gaussians fitted to two sets of rows, without a matrix square root.

The squared distance, covariances over n - 1, as every published FD and FAD. Every row counts, all
windows of a clip included. The expectation falls as prompts grow (by how much, `fd_bias` says), so
two systems compare only at equal numbers of rows and against one reference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from operator import add

import torch
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError, NotComparableError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, blocks, generated_rows, row_blocks, set_measurement, sides
from arc_eval.metrics.frechet_influence import row_influence
from arc_eval.metrics.groups import PromptGroups
from arc_eval.metrics.known import BROKEN_SOUNDS, question
from arc_eval.metrics.nuclear import nuclear_norm, triangle_product
from arc_eval.metrics.stated import StatedGaussian
from arc_eval.metrics.units import by_unit_sum
from arc_eval.records.measurement import Measurement
from arc_eval.stats import MINIMUM_PROMPTS, require_prompts


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of some rows, the covariance as a factor: nothing is squared, no digit lost.

    triangle: float64[at most feature + 1, feature + 1], the R of the QR decomposition of the rows
    behind a column of ones. Its first row is sqrt(rows) * [1, mean] up to sign; below it stands the
    factor of the scatter around the mean.
    """

    triangle: Tensor

    @classmethod
    def fit(cls, rows: Tensor, origin: Tensor | float = 0.0, places: Tensor | None = None) -> "Gaussian":
        """rows: float[row, feature], a block at a time, or only those at `places`, int64[any].

        origin: float64[feature], taken away first.
        """
        if places is None:
            return reduce(add, (cls._of(block, origin) for block in row_blocks(rows)))
        parts = torch.tensor_split(places, blocks(len(places), rows.shape[1]))
        return reduce(add, (cls._of(rows[part], origin) for part in parts))

    @classmethod
    def _of(cls, rows: Tensor, origin: Tensor | float) -> "Gaussian":
        behind_ones = rows.new_ones(len(rows), 1 + rows.shape[1], dtype=torch.float64)
        behind_ones[:, 1:].copy_(rows).sub_(origin)
        return cls(_triangle(behind_ones))

    def __add__(self, other: "Gaussian") -> "Gaussian":
        """The Gaussian of both sets of rows together."""
        return Gaussian(_triangle(torch.cat([self.triangle, other.triangle])))

    @property
    def rows(self) -> int:
        """How many rows it was fitted to."""
        return round(float(self.triangle[:, 0].square().sum()))

    @property
    def mean(self) -> Tensor:
        """float64[feature]."""
        return self.triangle[0, 1:] / self.triangle[0, 0]

    @property
    def deviation(self) -> Tensor:
        """float64[any, feature], zero below its diagonal, whose gram matrix is the covariance."""
        return self.triangle[1:, 1:] / math.sqrt(self.rows - 1)


def fitted(rows: Tensor, origin: Tensor, groups: PromptGroups) -> list[Gaussian]:
    """The Gaussian of each group's rows, of float[row, feature], after `origin` was taken away."""
    side = rows.shape[1] + 1
    # One place for all: a factor kept between two fits would leave a hole in memory that no block fits into.
    kept = torch.empty(len(groups), side, side, dtype=torch.float64)
    parts = []
    for group, place in enumerate(kept):
        triangle = Gaussian.fit(rows, origin, groups.rows(group)).triangle
        parts.append(Gaussian(place[: len(triangle)].copy_(triangle)))
    return parts


def gaussian_distance(a: Gaussian, b: Gaussian | StatedGaussian) -> float:
    """|mean difference|^2 + tr A + tr B - 2 tr sqrt(A B), of at least two rows each."""
    # The nuclear norm of the product of the deviations is the trace of the root of the product of
    # the covariances. Taken this way it is real by construction, rank-deficient or not: there is no
    # imaginary part to throw away and no eps to tune.
    ours, theirs = a.deviation, b.deviation
    shift = float((a.mean - b.mean).square().sum())
    traces = float(ours.square().sum() + theirs.square().sum())
    overlap = nuclear_norm(triangle_product(ours, theirs), total=shift + traces)
    # Twice the nuclear norm is at most the two traces; only rounding can exceed them.
    return shift + max(0.0, traces - 2 * overlap)


def frechet_distance(
    generated: Tensor,  # float[row, feature]
    reference: Tensor,  # float[row, feature]
) -> float:
    """Squared Fréchet distance between Gaussians fitted to the rows.

    Raises IncompleteError for fewer than two rows on either side. Source: Dowson and Landau 1982;
    as a metric of generators Heusel et al. 2017, of audio Kilgour et al. 2019.
    """
    for rows in (generated, reference):
        if len(rows) < 2:
            raise IncompleteError(f"a covariance needs at least 2 rows; there are {len(rows)}")
    # The distance ignores a common shift; removing it first spends no digits on a far-off mean.
    origin = reference.double().mean(0)
    return gaussian_distance(
        Gaussian.fit(generated.double() - origin), Gaussian.fit(reference.double() - origin)
    )


def without_each(parts: Sequence[Gaussian]) -> list[Gaussian]:
    """The Gaussian of all parts but one, for each in turn.

    Factors are merged, never subtracted: as exact as starting afresh from the rows, at the cost of
    a few decompositions of feature by feature matrices for each part.
    """
    before = list(accumulate(parts, add))
    after = list(accumulate(reversed(parts), add))[::-1]
    return [after[1], *map(add, before[:-2], after[2:]), before[-2]]


@dataclass(frozen=True)
class Compared:
    """Generated rows, and what they are compared with after `origin`, float64[feature], was taken away."""

    generated: Rows
    reference: Gaussian | StatedGaussian
    origin: Tensor


def compared(evidence: Evidence, extractor: str) -> Compared:
    """Both sides of a distance, of two rows each at least: the reference's own, or its mean and covariance.

    Raises IncompleteError and NotComparableError as `sides`.
    """
    moments = evidence.moments.get(extractor)
    if moments is None:
        both = sides(evidence, extractor, minimum=2)
        recorded = both.reference.described
        origin = torch.stack([block.double().sum(0) for block in row_blocks(recorded)]).sum(0) / len(recorded)
        return Compared(both.generated, Gaussian.fit(recorded, origin), origin)
    generated = generated_rows(evidence, extractor, minimum=2)
    if (ours := generated.described.shape[1]) != (theirs := len(moments.mean)):
        raise NotComparableError(f"{extractor!r} gives {ours} features, the reference statistics {theirs}")
    return Compared(generated, StatedGaussian.around_zero(moments), moments.mean)


@dataclass(frozen=True)
class Frechet:
    """Fréchet distance of the generated clips to the reference: `fd[extractor]`, and `fd_bias[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"fd[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_SOUNDS}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            # Means 0 and 4, variances 2 and 8: 16 + 2 + 8 - 2 sqrt(16).
            question(
                "two Gaussians", self.name, 18.0, self.extractor, [[2.0], [6.0]], reference=[[-1.0], [1.0]]
            )
        ]

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """`fd[...]`, lower is better, and `fd_bias[...]`: how much of it is due to the number of prompts.

        The interval is of the influence of prompts, the bias of a jackknife over groups of them; in both
        the reference is held fixed.
        """
        both = compared(evidence, self.extractor)
        generated, reference, origin = both.generated, both.reference, both.origin
        groups = PromptGroups.deal(generated.units)
        parts = fitted(generated.described, origin, groups)
        whole = reduce(add, parts)
        value = gaussian_distance(whole, reference)
        counts = replace(evidence.counts, scored=generated.clips, rows=len(generated))

        def influence() -> dict[str, float]:
            require_prompts(len(groups))
            shift, centre = whole.mean - reference.mean, origin + whole.mean
            pull = row_influence(generated.described, centre, shift, whole.deviation, reference.deviation)
            sums = by_unit_sum(pull, generated)
            pulled = (value + sums * (len(sums) / len(generated))).tolist()
            return dict(zip(sorted(set(generated.units.names)), pulled, strict=True))

        found = [set_measurement(self.name, influence, value, "lower", counts, (0.0, math.inf))]
        if len(groups) >= MINIMUM_PROMPTS:
            left_out = [gaussian_distance(rest, reference) for rest in without_each(parts)]
            bias, why = groups.bias(value, left_out), "it is an estimate of bias itself"
            name = f"fd_bias[{self.extractor}]"
            found.append(Measurement(name, bias, "", "none", counts, no_interval=why))
        return found


class Settings(shared.Settings):
    """`{kind: frechet, extractor: NAME}`."""

    def build(self) -> Frechet:
        """The metric of these settings."""
        return Frechet(self.extractor)


def _triangle(rows: Tensor) -> Tensor:
    triangle: Tensor = torch.linalg.qr(rows, mode="r").R
    return triangle
