"""Numbers as people read them: as many digits as the interval bears, in a unit of fitting size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arc_eval.records.measurement import Direction, Interval, Measurement

ARROWS: dict[Direction, str] = {"higher": "↑", "lower": "↓", "target": "→", "none": ""}
"""Which way is better."""


@dataclass(frozen=True)
class Scale:
    """What a column's values are multiplied by to be shown, and the unit they then have."""

    factor: float
    unit: str


def fitting_scale(unit: str, values: Sequence[float]) -> Scale:
    """Milliseconds for times below a second, megabytes for bytes; any other unit stays."""
    largest = max(map(abs, values), default=0.0)
    if unit == "s" and largest < 1:
        return Scale(1e3, "ms")
    if unit in ("byte", "bytes", "B"):
        return Scale(1e-9, "GB") if largest >= 1e10 else Scale(1e-6, "MB")
    return Scale(1.0, unit)


def shown(value: float, decimals: int) -> str:
    """Fixed decimals; an exponent only where they would print a long row of digits or only zeros."""
    if value != 0 and (abs(value) >= 1e7 or (decimals > 6 and abs(value) < 1e-4)):
        return f"{value:.2e}"
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def decimals_of(value: float, interval: Interval | None, factor: float = 1.0) -> int:
    """Decimals that show two digits of the interval's half width, or four digits of a bare value."""
    width = 0.0 if interval is None else (interval.high - interval.low) / 2 * factor
    if width > 0:
        return min(max(1 - math.floor(math.log10(width)), 0), 8)
    if value == 0:
        return 0
    return min(max(3 - math.floor(math.log10(abs(value * factor))), 0), 8)


def value_text(measured: Measurement, scale: Scale) -> str:
    """The value alone."""
    decimals = decimals_of(measured.value, measured.interval, scale.factor)
    return shown(measured.value * scale.factor, decimals)


def interval_text(measured: Measurement, scale: Scale) -> str:
    """`[low, high]`, or nothing if there is no interval."""
    if measured.interval is None:
        return ""
    decimals = decimals_of(measured.value, measured.interval, scale.factor)
    low, high = measured.interval.low * scale.factor, measured.interval.high * scale.factor
    return f"[{shown(low, decimals)}, {shown(high, decimals)}]"
