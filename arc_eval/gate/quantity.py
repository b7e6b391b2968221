"""The one number that a rule bounds, with its interval: a value, a change, or a relative change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from arc_eval.errors import IncompleteError, SuiteError
from arc_eval.gate.comparison import Difference, Side, difference
from arc_eval.gate.rules import Rule
from arc_eval.records.measurement import Interval, Measurement


@dataclass(frozen=True)
class Quantity:
    """`value` must lie at most, or at least, at `limit`; low and high equal it where there is no interval.

    `what` names it in a sentence; `basis` says how the interval was had or why there is none.
    """

    what: str
    value: float
    low: float
    high: float
    side: Literal["at most", "at least"]
    limit: float
    unit: str
    basis: str
    scored: int

    @property
    def keeps(self) -> bool:
        """Whether the whole interval keeps the bound."""
        return self.high <= self.limit if self.side == "at most" else self.low >= self.limit

    @property
    def breaks(self) -> bool:
        """Whether the whole interval breaks the bound."""
        return self.low > self.limit if self.side == "at most" else self.high < self.limit

    def sentence(self, outcome: str) -> str:
        """The judgement in words, with every number that decided it."""
        interval = "" if self.low == self.high else f" [{number(self.low)}, {number(self.high)}]"
        unit = f" {self.unit}" if self.unit else ""
        demand = f"{self.side} {number(self.limit)}"
        found = f"{number(self.value)}{interval}{unit}"
        return f"{self.what} is {found}, demanded {demand}: {outcome} ({self.basis})"


def demanded(rule: Rule, system: str, side: Side, baseline: Side | None) -> Quantity:
    """What a rule bounds, for one system.

    Raises IncompleteError if a number is missing or rests on too few clips, NotComparableError if
    the baseline was measured differently, SuiteError if the rule needs a baseline and has none.
    """
    measured = side.measured(system, rule.metric)
    if measured.counts.scored < rule.min_clips:
        raise IncompleteError(f"{rule.metric} rests on {measured.counts}; needed: {rule.min_clips} scored")
    if not rule.relative_to_baseline:
        return _absolute(rule, measured)
    change = _change(rule, system, side, baseline)
    return _BOUNDS_ON_CHANGE[rule.bound](rule, change)


def _change(rule: Rule, system: str, side: Side, baseline: Side | None) -> Difference:
    if rule.against is not None:
        return difference(side, rule.against, side, system, rule.metric)
    if baseline is None:
        raise SuiteError(f"rule `{rule}` bounds a change: give a baseline Run, or `against` another system")
    if baseline.run.system(system) is None:
        raise IncompleteError(f"the baseline {baseline.name} has no such system; renew it or name `against`")
    return difference(baseline, system, side, system, rule.metric)


def _absolute(rule: Rule, measured: Measurement) -> Quantity:
    interval = measured.interval
    return Quantity(
        what=rule.metric,
        value=measured.value,
        low=interval.low if interval else measured.value,
        high=interval.high if interval else measured.value,
        side="at most" if rule.bound == "max" else "at least",
        limit=rule.limit,
        unit=measured.unit,
        basis=_basis(interval, measured.no_interval),
        scored=measured.counts.scored,
    )


def _increase(rule: Rule, found: Difference) -> Quantity:
    return _of_change(rule, found, "at most", rule.limit)


def _decrease(rule: Rule, found: Difference) -> Quantity:
    return _of_change(rule, found, "at least", -rule.limit)


def _not_worse(rule: Rule, found: Difference) -> Quantity:
    if found.direction not in ("higher", "lower"):
        raise SuiteError(f"rule `{rule}`: the metric has no better direction; bound its increase or decrease")
    return _increase(rule, found) if found.direction == "lower" else _decrease(rule, found)


def _of_change(rule: Rule, found: Difference, side: Literal["at most", "at least"], limit: float) -> Quantity:
    interval = found.interval
    return Quantity(
        what=f"change of {found.metric} from {number(found.a.value)}",
        value=found.value,
        low=interval.low if interval else found.value,
        high=interval.high if interval else found.value,
        side=side,
        limit=limit,
        unit=found.unit,
        basis=_basis(interval, found.no_interval),
        scored=found.b.counts.scored,
    )


def _relative_increase(rule: Rule, found: Difference) -> Quantity:
    return _of_share(rule, found, "at most", rule.limit)


def _relative_decrease(rule: Rule, found: Difference) -> Quantity:
    return _of_share(rule, found, "at least", -rule.limit)


def _of_share(rule: Rule, found: Difference, side: Literal["at most", "at least"], limit: float) -> Quantity:
    """The change as a share of the baseline's value: from the ratio where there is one."""
    absolute = _of_change(rule, found, side, limit)
    if found.a.value == 0:
        raise IncompleteError(f"{found.metric} of the baseline is 0: a relative change has no meaning")
    if found.ratio is not None:
        low, value, high = (x - 1 for x in (found.ratio.low, found.ratio.value, found.ratio.high))
    else:
        scale = abs(found.a.value)
        low, value, high = absolute.low / scale, absolute.value / scale, absolute.high / scale
    return Quantity(
        what=f"relative change of {found.metric} from {number(found.a.value)} {found.unit}".rstrip(),
        value=value,
        low=low,
        high=high,
        side=side,
        limit=limit,
        unit="",
        basis=absolute.basis,
        scored=absolute.scored,
    )


def _basis(interval: Interval | None, reason: str) -> str:
    if interval is None:
        return f"judged by value alone: {reason}"
    return f"{interval.level:.0%} interval, {interval.method}"


_BOUNDS_ON_CHANGE: Mapping[str, Callable[[Rule, Difference], Quantity]] = {
    "max_increase": _increase,
    "max_decrease": _decrease,
    "max_relative_increase": _relative_increase,
    "max_relative_decrease": _relative_decrease,
    "margin": _not_worse,
}


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"
