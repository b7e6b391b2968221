"""How far one number lies above another, with an interval, or with the reason why there is none.

Paired: scores of clips, by prompt, or the influence of prompts on a set's number. Unpaired: through
the intervals of both numbers (the method of variance estimates recovery, Zou and Donner 2008), which
assumes only that they are independent. Exchanging the sides flips every sign exactly.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from arc_eval.errors import IncompleteError
from arc_eval.influence import influence_difference, influence_ratio
from arc_eval.records.measurement import Influence, Interval, Measurement
from arc_eval.stats import MINIMUM_PROMPTS, by_prompt, paired_difference


@dataclass(frozen=True)
class Change:
    """B - A. `interval` is None only with a `no_interval` reason. `prompts`: how many were paired."""

    value: float
    interval: Interval | None
    no_interval: str
    pairing: Literal["paired", "unpaired"]
    prompts: int = 0


@dataclass(frozen=True)
class Ratio:
    """B / A and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class _Ends:
    """A number and the ends of its interval."""

    value: float
    low: float
    high: float


def paired(
    a: Mapping[str, float],  # clip id to score
    b: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
) -> Change:
    """Mean over shared prompts of the difference of their clip means.

    clusters: prompt id to the unit that it shares with other prompts, if it does; then over those units.
    Raises IncompleteError if no prompt is shared.
    """
    ours, theirs = by_prompt(b, clusters), by_prompt(a, clusters)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise IncompleteError("no prompt was scored on both sides")
    try:
        estimate = paired_difference(b, a, clusters)
    except IncompleteError as error:
        differences = [_mean(ours[prompt]) - _mean(theirs[prompt]) for prompt in shared]
        return Change(_mean(differences), None, str(error), "paired", len(shared))
    return Change(estimate.value, estimate.interval, "", "paired", estimate.count)


def linear(a: Measurement, b: Measurement, ours: Influence, theirs: Influence) -> Change:
    """The difference of the values, its interval from what each prompt does to both: ours to a, theirs to b.

    Unpaired if they have too few prompts, or groups of prompts, in common.
    """
    shared = len(ours.keys() & theirs.keys())
    if shared < MINIMUM_PROMPTS:
        return unpaired(a, b)
    value = b.value - a.value
    try:
        interval = influence_difference(theirs, ours, value)
    except IncompleteError as error:
        return Change(value, None, str(error), "paired", shared)
    return Change(value, interval, "", "paired", shared)


def linear_ratio(a: Measurement, b: Measurement, ours: Influence, theirs: Influence) -> Ratio | None:
    """B / A, paired as in `linear`; None where a value is not positive or there is no interval."""
    if min(a.value, b.value) <= 0 or len(ours.keys() & theirs.keys()) < MINIMUM_PROMPTS:
        return ratio(a, b)
    try:
        return Ratio(b.value / a.value, *influence_ratio(theirs, ours, b.value, a.value))
    except IncompleteError:
        return None


def unpaired(a: Measurement, b: Measurement) -> Change:
    """The difference of the values, its interval recovered from both intervals."""
    left, right = a.interval, b.interval
    reason = _no_interval(a, b)
    if reason or left is None or right is None:
        return Change(b.value - a.value, None, reason, "unpaired")
    found = _recovered(_Ends(a.value, left.low, left.high), _Ends(b.value, right.low, right.high))
    method = "unpaired, recovered from both intervals"
    return Change(found.value, Interval(found.low, found.high, left.level, method), "", "unpaired")


def ratio(a: Measurement, b: Measurement) -> Ratio | None:
    """B / A, recovered from the intervals of the logarithms; None unless every end is positive."""
    left, right = a.interval, b.interval
    if _no_interval(a, b) or left is None or right is None:
        return None
    if min(a.value, left.low, left.high, b.value, right.low, right.high) <= 0:
        return None
    logarithm = _recovered(_logarithm(a.value, left), _logarithm(b.value, right))
    return Ratio(b.value / a.value, math.exp(logarithm.low), math.exp(logarithm.high))


def _no_interval(a: Measurement, b: Measurement) -> str:
    if a.interval is None or b.interval is None:
        return a.no_interval or b.no_interval
    if a.interval.level != b.interval.level:
        return f"the intervals have different levels, {a.interval.level:g} and {b.interval.level:g}"
    return ""


def _logarithm(value: float, interval: Interval) -> _Ends:
    return _Ends(math.log(value), math.log(interval.low), math.log(interval.high))


def _recovered(a: _Ends, b: _Ends) -> _Ends:
    """b - a. An end on the wrong side of its value (a bias-corrected interval) adds no certainty."""
    change = b.value - a.value
    down = math.sqrt(max(b.value - b.low, 0.0) ** 2 + max(a.high - a.value, 0.0) ** 2)
    up = math.sqrt(max(b.high - b.value, 0.0) ** 2 + max(a.value - a.low, 0.0) ** 2)
    return _Ends(change, change - down, change + up)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
