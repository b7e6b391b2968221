"""A result is a finite Measurement or a Failure with a reason: never a stand-in number."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from arc_eval.errors import IncompleteError

Direction = Literal["higher", "lower", "target", "none"]
"""Which way is better; `target` means closer to the real recordings' value; `none` is descriptive."""

Influence = Mapping[str, float]
"""Unit (a prompt id, `recording:` and a recording's name, or GROUP and the digest of a group of either) to a
statistic as that unit pulls it."""

GROUP = "group:"
"""What the name of a unit begins with that is a group of prompts."""


@dataclass(frozen=True)
class Counts:
    """How many clips (or trials) were planned, came into being, and entered the number.

    rows: how many rows of numbers the scored clips gave, where the expectation of a metric depends
    on that (a Fréchet distance); 0 elsewhere.
    """

    planned: int
    generated: int
    scored: int
    rows: int = 0

    def __str__(self) -> str:
        return f"{self.scored}/{self.generated}/{self.planned} scored/generated/planned"


@dataclass(frozen=True)
class Interval:
    """A confidence interval and how it was obtained."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Measurement:
    """One finite number. `metric` is its full name, extractor included: `fd[tiny-clap]`.

    `interval` is None only with a `no_interval` reason. Raises IncompleteError if not finite,
    so that a NaN can never travel as a result. `influence` is of a metric that is no mean of scores of
    clips; it travels in `influence.parquet`, not in run.json.
    """

    metric: str
    value: float
    unit: str
    direction: Direction
    counts: Counts
    interval: Interval | None = None
    no_interval: str = ""
    influence: Influence = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = [self.value]
        if self.interval is not None:
            numbers += [self.interval.low, self.interval.high]
        numbers += self.influence.values()
        if not all(math.isfinite(number) for number in numbers):
            raise IncompleteError(f"{self.metric}: not finite: {numbers[:3]}")
        if self.interval is None and not self.no_interval:
            raise IncompleteError(f"{self.metric}: no interval and no reason for its absence")


@dataclass(frozen=True)
class Failure:
    """A number that could not be had, and why."""

    metric: str
    reason: str
    counts: Counts | None = None


Result = Measurement | Failure
