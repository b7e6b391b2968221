"""Two numbers that depend on how many clips they rest on, and whether those numbers of clips are equal.

A Fréchet distance falls as clips grow, by an amount that differs from system to system: of two that
rest on different numbers, the larger may be the better. Recall and coverage rise with them.
"""

from dataclasses import replace

from arc_eval.errors import NotComparableError
from arc_eval.records.basis import base_name
from arc_eval.records.measurement import Measurement

TOLERANCE = 0.01
"""The share by which the numbers of clips and of rows may differ."""

SIZED = ("fd", "recall", "coverage")
"""Metrics known to depend on the number of clips; whatever else states its `counts.rows` does too."""


def require_equal_sizes(metric: str, a: str, left: Measurement, b: str, right: Measurement) -> None:
    """a, b: what to call both sides. Raises NotComparableError, with both numbers and what to do about it."""
    if unequal := _unequal(metric, left, right):
        what, x, y = unequal
        raise NotComparableError(
            f"{metric} depends on the number of {what}, and rests on {x} in {a}, on {y} in {b}; evaluate "
            "both on the same prompts, takes and seconds and make up for lost clips, or have them equalised "
            "(compare --equalise)"
        )


def equalised(
    metric: str,
    a: str,
    left: Measurement,
    left_bias: Measurement | None,
    b: str,
    right: Measurement,
    right_bias: Measurement | None,
) -> tuple[Measurement, Measurement, str]:
    """Both numbers as they would be at the smaller number of clips, and a note of what was done.

    left_bias, right_bias: `fd_bias` of the same systems, which is taken to fall as 1 / clips does. Raises
    NotComparableError where that does not help: other metrics, other lengths, Runs that state no bias.
    """
    if not _unequal(metric, left, right):
        return left, right, ""
    if left_bias is None or right_bias is None or not _alike(*map(_rows_of_a_clip, (left, right))):
        require_equal_sizes(metric, a, left, b, right)
    assert left_bias is not None and right_bias is not None
    clips = min(left.counts.scored, right.counts.scored)
    both = _at(left, left_bias, clips), _at(right, right_bias, clips)
    x, y = left.counts.scored, right.counts.scored
    return *both, f"{metric}: {x} clips in {a}, {y} in {b}; both stated as at {clips}, by fd_bias"


def _at(measured: Measurement, bias: Measurement, clips: int) -> Measurement:
    more = bias.value * (measured.counts.scored / clips - 1)
    interval = measured.interval
    if interval is not None:
        interval = replace(interval, low=interval.low + more, high=interval.high + more)
    return replace(measured, value=measured.value + more, interval=interval)


def _unequal(metric: str, left: Measurement, right: Measurement) -> tuple[str, int, int] | None:
    """What the numbers differ in. Where a Run did not record rows, the clips alone decide."""
    ours, theirs = left.counts, right.counts
    recorded = bool(ours.rows and theirs.rows)
    if not recorded and base_name(metric) not in SIZED:
        return None
    if not _alike(ours.scored, theirs.scored):
        return "clips", ours.scored, theirs.scored
    if recorded and not _alike(ours.rows, theirs.rows):
        return "rows", ours.rows, theirs.rows
    return None


def _rows_of_a_clip(measured: Measurement) -> float:
    return measured.counts.rows / max(measured.counts.scored, 1)


def _alike(x: float, y: float) -> bool:
    return abs(x - y) <= TOLERANCE * max(x, y)
