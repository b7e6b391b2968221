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
    """Of what each system made against what the first made."""


@dataclass(frozen=True)
class Comparison:
    """Systems by name; the first is what the others are compared with.

    stages: those of a call that the table shows; inexact: systems that compute in another precision, whose
    errors are shown and not judged.
    """

    setting: Mapping[str, object]
    facts: Mapping[str, Mapping[str, Any]]
    warm_up: Round
    rounds: Sequence[Round]
    stages: tuple[str, ...]
    inexact: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The system the others are compared with."""
        return next(iter(self.facts))

    @property
    def worst_error(self) -> float:
        """The largest relative error of any system that is judged, in any round."""
        return max(self.error(name) for name in list(self.facts)[1:] if name not in self.inexact)

    def error(self, system: str) -> float:
        """The largest relative error of a system in any round, the first included."""
        return max(done.errors[system] for done in (self.warm_up, *self.rounds))

    def seconds(self, system: str, *key: str) -> list[float]:
        """A cost of a system in each round."""
        return [_at(done.costs[system], *key) for done in self.rounds]

    def speed_up(self, system: str, *key: str) -> tuple[float, Estimate | None]:
        """Median of the rounds' ratios of a cost; no interval from fewer than five rounds."""
        both = (self.seconds(name, *key) for name in (self.reference, system))
        ratios = [theirs / ours for theirs, ours in zip(*both, strict=True)]
        try:
            return median(ratios), percentile(ratios, 0.5, confidence=0.95)
        except IncompleteError:
            return median(ratios), None


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Length of the difference over length of what was expected. Raises ValueError if shapes differ."""
    if found.shape != expected.shape:
        raise ValueError(f"shapes differ: {list(found.shape)}, must be {list(expected.shape)}")
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def write(comparison: Comparison, folder: Path) -> None:
    """`comparison.json`, everything that was measured, and `comparison.md`, its table."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "speed_up": _speed_ups(comparison),
        "worst_relative_error": comparison.worst_error,
        **asdict(comparison),
    }
    (folder / "comparison.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    (folder / "comparison.md").write_text(markdown(comparison), "utf-8")


def _speed_ups(comparison: Comparison) -> dict[str, dict[str, object]]:
    costs = {
        "wall": ("wall_seconds",),
        "cpu": ("cpu_seconds",),
        **{name: ("stages", name) for name in comparison.stages},
    }
    found: dict[str, dict[str, object]] = {}
    for system in list(comparison.facts)[1:]:
        found[system] = {}
        for cost, key in costs.items():
            ratio, estimate = comparison.speed_up(system, *key)
            found[system][cost] = {
                "median": ratio,
                "interval": asdict(estimate.interval) if estimate else None,
            }
    return found


def markdown(comparison: Comparison) -> str:
    """A row for each system: medians over the rounds, ranges in brackets, how much faster a stage is."""
    stages = [f"{name} s" for name in comparison.stages]
    head = (
        "system", "wall s", "CPU s", *stages, "threads", "peak MB", "resident MB", "speed-up",
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
    speed, error = "1", "-"
    if system != comparison.reference:
        ratio, estimate = comparison.speed_up(system, "wall_seconds")
        bounds = f" ({estimate.interval.low:.2f}..{estimate.interval.high:.2f})" if estimate else ""
        speed, error = f"{ratio:.2f}{bounds}", f"{comparison.error(system):.1e}"
    return [
        system,
        f"{median(wall):.2f} ({min(wall):.2f}..{max(wall):.2f})",
        f"{median(comparison.seconds(system, 'cpu_seconds')):.2f}",
        *(_stage(comparison, system, name) for name in comparison.stages),
        str(comparison.facts[system]["threads"]),
        f"{last['peak_bytes'] / 1e6:.0f}",
        f"{last['resident_bytes'] / 1e6:.0f}",
        speed,
        error,
    ]


def _stage(comparison: Comparison, system: str, name: str) -> str:
    seconds = f"{median(comparison.seconds(system, 'stages', name)):.2f}"
    if system == comparison.reference:
        return seconds
    ratio, _ = comparison.speed_up(system, "stages", name)
    return f"{seconds} ({ratio:.2f}x)"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _at(cost: Any, *key: str) -> float:
    for name in key:
        cost = cost[name]
    return float(cost)
