"""Variances of one estimate that are each known only so well, and what they come to together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Variance:
    """Of an estimate, and the degrees of freedom with which it is known."""

    value: float
    freedom: float


def together(parts: Sequence[Variance]) -> Variance:
    """The variance of a sum of independent parts (Welch 1947, Satterthwaite 1946)."""
    total = math.fsum(part.value for part in parts)
    spent = math.fsum(part.value**2 / part.freedom for part in parts)
    return Variance(total, total**2 / spent if spent else max(part.freedom for part in parts))
