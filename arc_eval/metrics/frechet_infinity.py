"""Fréchet distance at infinitely many prompts, by a straight line against 1 / prompts.

The Fréchet distance of finitely many clips lies too high by about a constant over their number, and
the constant belongs to the system: at one number of clips two systems can stand in the wrong order.
So it is measured on subsets and continued to 1 / prompts = 0. Prompts, with their takes and
windows, are dealt by a seeded hash into BLOCKS; each union of at least half of the blocks is a
subset, so every prompt counts as often as every other at each size, and nothing is drawn twice. The
reference is one fixed set: its own share of the bias stays, the same for every system.

The distance may be negative. The line holds only where rows outnumber features; below, nothing is returned.
Source: Chong and Forsyth 2020; as FAD-infinity of audio Gui et al. 2024. The complete design is ours:
theirs draws windows with replacement.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from itertools import combinations
from operator import add
from statistics import fmean

import numpy as np

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, set_measurement
from arc_eval.metrics.frechet import compared, fitted, gaussian_distance
from arc_eval.metrics.groups import PromptGroups
from arc_eval.records.measurement import Measurement

BLOCKS = 6
"""Parts that the prompts are dealt into; subsets are of 3, 4, 5 and 6 of them, 42 in all."""


@dataclass(frozen=True)
class Line:
    """distance = intercept + slope / prompts; residual: root mean square of what the line leaves."""

    intercept: float
    slope: float
    residual: float


def fitted_line(inverse: Sequence[float], distances: Sequence[float]) -> Line:
    """Least squares of distances against 1 / prompts, of which two must differ."""
    x, y = np.asarray(inverse, dtype=np.float64), np.asarray(distances, dtype=np.float64)
    around = x - x.mean()
    slope = float((around * y).sum() / np.square(around).sum())
    intercept = float(y.mean() - slope * x.mean())
    wrong = y - (intercept + slope * x)
    return Line(intercept, slope, math.sqrt(float(np.square(wrong).mean())))


def dealt(rows: Rows, seed: int) -> PromptGroups:
    """The prompts of the rows in BLOCKS of near equal size, by a hash of seed and prompt."""
    hashed = {p: hashlib.sha256(f"{seed}:{p}".encode()).hexdigest() for p in set(rows.units.names)}
    order = sorted(hashed, key=hashed.__getitem__)
    place = {prompt: index % BLOCKS for index, prompt in enumerate(order)}
    members = tuple(tuple(order[block::BLOCKS]) for block in range(BLOCKS))
    return PromptGroups(rows.units.each(place.__getitem__), members)


@dataclass(frozen=True)
class FrechetInfinity:
    """`fad_inf[extractor]`, and the fit's `fad_inf_slope[...]` and `fad_inf_residual[...]`."""

    extractor: str
    seed: int

    @property
    def name(self) -> str:
        return f"fad_inf[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """The distance (lower is better, jackknife over the blocks) and two facts of its fit.

        Raises IncompleteError if there are fewer than two prompts for each block, or if the smallest
        subset has no more rows than features.
        """
        both = compared(evidence, self.extractor)
        generated, reference, origin = both.generated, both.reference, both.origin
        if (prompts := len(set(generated.units.names))) < 2 * BLOCKS:
            raise IncompleteError(f"{self.name}: needs at least {2 * BLOCKS} prompts; there are {prompts}")
        blocks = dealt(generated, self.seed)
        features = generated.described.shape[1]
        smallest = int(blocks.of.bincount().sort().values[: BLOCKS // 2].sum())
        if smallest <= features:
            raise IncompleteError(
                f"{self.name}: half of the clips give {smallest} rows of {features} features; the line in "
                "1 / prompts holds only with more rows than features, so more prompts are needed"
            )
        parts = fitted(generated.described, origin, blocks)

        @cache  # a subset serves the line and the jackknife
        def distance(subset: tuple[int, ...]) -> float:
            return gaussian_distance(reduce(add, (parts[b] for b in subset)), reference)

        def line(left_out: int | None = None) -> Line:
            kept = [block for block in range(BLOCKS) if block != left_out]
            inverse, means = [], []
            for size in range(BLOCKS // 2, len(kept) + 1):
                subsets = list(combinations(kept, size))
                inverse.append(fmean(1 / sum(blocks.sizes[b] for b in subset) for subset in subsets))
                means.append(fmean(map(distance, subsets)))
            return fitted_line(inverse, means)

        counts = replace(evidence.counts, scored=generated.clips)
        whole = line()

        def influence() -> dict[str, float]:
            return blocks.influence(whole.intercept, lambda: [line(b).intercept for b in range(BLOCKS)])

        def fact(name: str, value: float) -> Measurement:
            reason = f"describes the fit of {self.name}"
            named = f"fad_inf_{name}[{self.extractor}]"
            return Measurement(named, value, "", "none", counts, no_interval=reason)

        return [
            set_measurement(self.name, influence, whole.intercept, "lower", counts, (-math.inf, math.inf)),
            fact("slope", whole.slope),
            fact("residual", whole.residual),
        ]


class Settings(shared.Settings):
    """`{kind: frechet_infinity, extractor: NAME, seed: 0}`; seed: which prompts share a block."""

    seed: int = 0

    def build(self) -> FrechetInfinity:
        """The metric of these settings."""
        return FrechetInfinity(self.extractor, self.seed)
