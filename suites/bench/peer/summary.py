"""The rounds of a comparison as numbers: paired ratios with an interval, as JSON and as a Markdown table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from torch import Tensor

from arc_eval.errors import IncompleteError
from arc_eval.stats import Estimate, percentile

TOLERANCE = 1e-3
"""The relative error up to which two outputs count as equal."""


@dataclass(frozen=True)
class Round:
    """One call of each system on one take; the first round warms up and enters no time."""

    costs: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, float]
    """Of each system's audio against the first's."""


@dataclass(frozen=True)
class Comparison:
    """Systems in the order they were called; the first is what the others are compared with."""

    setting: Mapping[str, object]
    facts: Mapping[str, Mapping[str, Any]]
    warm_up: Round
    rounds: Sequence[Round]

    @property
    def reference(self) -> str:
        """The system the others are compared with."""
        return next(iter(self.facts))

    @property
    def worst_error(self) -> float:
        """The largest relative error of any round, the first included."""
        return max(max(done.errors.values()) for done in (self.warm_up, *self.rounds))

    def seconds(self, system: str, *key: str) -> list[float]:
        """A cost of a system in each round."""
        return [_at(done.costs[system], *key) for done in self.rounds]

    def speed_up(self, system: str) -> tuple[float, Estimate | None]:
        """Median of the rounds' ratios of wall time; no interval from fewer than five rounds."""
        both = (self.seconds(name, "wall_seconds") for name in (self.reference, system))
        ratios = [theirs / ours for theirs, ours in zip(*both, strict=True)]
        try:
            return median(ratios), percentile(ratios, 0.5, confidence=0.95)
        except IncompleteError:
            return median(ratios), None


def relative_error(audio: Tensor, expected: Tensor) -> float:
    """Length of the difference over length of what was expected. Raises ValueError if shapes differ."""
    if audio.shape != expected.shape:
        raise ValueError(f"shapes differ: {list(audio.shape)}, must be {list(expected.shape)}")
    return float((audio.double() - expected.double()).norm() / expected.double().norm())


def write(comparison: Comparison, folder: Path) -> None:
    """`comparison.json`, everything that was measured, and `comparison.md`, its table."""
    folder.mkdir(parents=True, exist_ok=True)
    speed = {}
    for system in list(comparison.facts)[1:]:
        ratio, estimate = comparison.speed_up(system)
        speed[system] = {"median": ratio, "interval": asdict(estimate.interval) if estimate else None}
    data = {"speed_up": speed, "worst_relative_error": comparison.worst_error, **asdict(comparison)}
    (folder / "comparison.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    (folder / "comparison.md").write_text(markdown(comparison), "utf-8")


def markdown(comparison: Comparison) -> str:
    """A row for each system: medians over the rounds, ranges in brackets."""
    head = (
        "system", "wall s", "CPU s", "steps s", "decode s", "threads", "peak MB", "resident MB", "speed-up",
        "relative error",
    )  # fmt: skip
    rows = [_cells(comparison, system) for system in comparison.facts]
    table = [_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *(_row(row) for row in rows)]
    told = ", ".join(f"{name} {value}" for name, value in comparison.setting.items())
    note = f"Rounds after a warm-up: {len(comparison.rounds)}, the systems called in turn. {told}."
    return "\n".join([*table, "", note]) + "\n"


def _cells(comparison: Comparison, system: str) -> list[str]:
    wall = comparison.seconds(system, "wall_seconds")
    last = comparison.rounds[-1].costs[system]
    if system == comparison.reference:
        speed, error = "1", "-"
    else:
        ratio, estimate = comparison.speed_up(system)
        bounds = f" ({estimate.interval.low:.2f}..{estimate.interval.high:.2f})" if estimate else ""
        speed = f"{ratio:.2f}{bounds}"
        error = f"{max(done.errors[system] for done in (comparison.warm_up, *comparison.rounds)):.1e}"
    return [
        system,
        f"{median(wall):.2f} ({min(wall):.2f}..{max(wall):.2f})",
        f"{median(comparison.seconds(system, 'cpu_seconds')):.2f}",
        f"{median(comparison.seconds(system, 'stages', 'step')):.2f}",
        f"{median(comparison.seconds(system, 'stages', 'decode')):.2f}",
        str(comparison.facts[system]["threads"]),
        f"{last['peak_bytes'] / 1e6:.0f}",
        f"{last['resident_bytes'] / 1e6:.0f}",
        speed,
        error,
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _at(cost: Any, *key: str) -> float:
    for name in key:
        cost = cost[name]
    return float(cost)
