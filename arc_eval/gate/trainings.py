"""The chance of a training: two trainings of one recipe differ, so a claim about recipes must allow for it.

The rows of a system are its trainings; their numbers scatter by what training left to chance and by what
the sample of clips left, so the second is counted twice where both enter an interval, which widens it.
A training is known by the digest of its weights.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from arc_eval.errors import IncompleteError
from arc_eval.gate.comparison import Side
from arc_eval.gate.variance import Variance
from arc_eval.records.measurement import Measurement


@dataclass(frozen=True)
class Contrast:
    """Mean of a metric over the rows `ours` minus `scale` times its mean over the rows `theirs`."""

    side: Side
    metric: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    scale: float

    @property
    def value(self) -> float:
        """The contrast as measured. Raises IncompleteError if a row has no number."""
        ours, theirs = (fmean(self.values(names)) for names in (self.ours, self.theirs))
        return ours - self.scale * theirs

    def values(self, names: Sequence[str]) -> list[float]:
        """The metric of each row. Raises IncompleteError if a row has no number."""
        return [self.side.measured(name, self.metric).value for name in names]


@dataclass(frozen=True)
class Chance:
    """What training adds to the variance of a contrast (None: nothing that could be seen), and a remark."""

    variance: Variance | None
    remark: str


def between_trainings(contrast: Contrast, others: Iterable[Sequence[str]]) -> Chance:
    """Of two systems that were trained apart, from the scatter of rows pooled over systems with several.

    others: rows of further systems whose scatter may be pooled; what was not measured is left out. Raises
    IncompleteError if one training has two rows in a system, or no system has several trainings.
    """
    for names in (contrast.ours, contrast.theirs):
        _require_distinct(contrast.side, names)
    groups = _disjoint(contrast.side, [contrast.ours, contrast.theirs, *_measured(contrast, others)])
    freedom = sum(len(names) - 1 for names in groups)
    if not freedom:
        raise IncompleteError(
            f"{contrast.side.name}: no system was trained with several seeds, so the chance of a training "
            "is unknown"
        )
    spread = sum((len(names) - 1) * variance(contrast.values(names)) for names in groups) / freedom
    share = 1 / len(contrast.ours) + contrast.scale**2 / len(contrast.theirs)
    once = [names[0] for names in (contrast.ours, contrast.theirs) if len(names) == 1]
    of = " and ".join(", ".join(names) for names in groups)
    remark = f"{' and '.join(once)} trained once: the spread between trainings is taken from {of}"
    return Chance(Variance(spread * share, freedom), remark if once else "")


def within_trainings(contrast: Contrast) -> Chance:
    """Of two ways to use the same weights, from how their contrast differs between trainings.

    Raises IncompleteError unless both sides have the same weights, each in one row.
    """
    for names in (contrast.ours, contrast.theirs):
        _require_distinct(contrast.side, names)
    side, pairs = contrast.side, _pairs(contrast)
    if len(pairs) == 1:
        remark = (
            f"one training, {pairs[0][1]}: how much this differs between trainings is not in the interval"
        )
        return Chance(None, remark)
    contrasts = [Contrast(side, contrast.metric, (a,), (b,), contrast.scale).value for a, b in pairs]
    return Chance(Variance(variance(contrasts) / len(pairs), len(pairs) - 1), "")


def _pairs(contrast: Contrast) -> list[tuple[str, str]]:
    """Rows of the same weights, ours first. One row a side without a known digest is believed."""
    ours, theirs = (
        {_weights(contrast.side, n): n for n in names} for names in (contrast.ours, contrast.theirs)
    )
    unknown = not all(_digest(contrast.side, name) for name in (*ours.values(), *theirs.values()))
    if unknown and len(ours) == len(theirs) == 1:
        return [(contrast.ours[0], contrast.theirs[0])]
    if alone := [*(ours[w] for w in ours if w not in theirs), *(theirs[w] for w in theirs if w not in ours)]:
        raise IncompleteError(
            f"{contrast.side.name}: the claim is about the same weights on both sides (`same_training`), but "
            f"those of {', '.join(alone)} are on one side only"
        )
    return [(name, theirs[weights]) for weights, name in ours.items()]


def _require_distinct(side: Side, names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if (first := seen.setdefault(_weights(side, name), name)) != name:
            raise IncompleteError(
                f"{side.name}: {first} and {name} are the same weights, so they are not two trainings"
            )


def _measured(contrast: Contrast, others: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    def has(name: str) -> bool:
        system = contrast.side.run.system(name)
        return system is not None and isinstance(system.result(contrast.metric), Measurement)

    return [[name for name in names if has(name)] for names in others]


def _disjoint(side: Side, groups: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    """The systems with several trainings, none of which is counted in two systems; earlier ones first."""
    kept: list[Sequence[str]] = []
    taken: set[str] = set()
    for names in groups:
        weights = {_weights(side, name) for name in names}
        if len(weights) == len(names) > 1 and not weights & taken:
            kept.append(names)
            taken |= weights
    return kept


def _weights(side: Side, name: str) -> str:
    """What tells one training from another; a row without a digest is its own."""
    return _digest(side, name) or f"row {name}"


def _digest(side: Side, name: str) -> str:
    return side.system(name).identity.get("weights", "")
