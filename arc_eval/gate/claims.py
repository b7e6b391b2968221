"""Claims about systems, as a paper makes them, judged by a Run: a difference, its interval and its p-value.

A system may have been trained several times: then it has a row for each seed, and its number is their
mean. Two kinds of chance enter. Sampling: the prompts and clips; paired by prompt where a Run has scores
of clips or the influence of prompts, else taken from both intervals, which are treated as independent and
the seeds of one system as wholly dependent (both widen the interval). Training: the variance between the
seeds of a system, pooled over all systems with several, also for those that were trained once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean, variance
from typing import ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arc_eval.errors import IncompleteError, SuiteError, suggest
from arc_eval.gate.comparison import Side
from arc_eval.records.measurement import Interval
from arc_eval.stats import by_prompt

CLAIMED = Path(__file__).parent / "claimed"
LEVEL = 0.95
GROUPS = 20
"""Groups of a jackknife interval, which says of its own spread what 19 numbers can."""


class Claim(BaseModel):
    """`metric` of the systems `of` is lower, or higher, than that of the systems `than`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    claim: str
    """In words."""
    metric: str
    of: tuple[str, ...] = Field(min_length=1)
    """Names or patterns; several rows are several trainings of one system."""
    than: tuple[str, ...] = Field(min_length=1)
    direction: Literal["lower", "higher"] = Field(alias="is")
    margin: float = Field(0.0, ge=0, allow_inf_nan=False)
    """The share of the value of `than` by which `of` may be worse: non-inferiority. 0: it must be better."""
    same_training: bool = False
    """Whether both are one set of weights, so that training adds no chance to their difference."""


@dataclass(frozen=True)
class Variance:
    """Of an estimate, and the degrees of freedom with which it is known."""

    value: float
    freedom: float


@dataclass(frozen=True)
class Finding:
    """What a Run says of a claim. `effect` is signed so that positive supports it, the margin included."""

    claim: str
    metric: str
    outcome: Literal["holds", "does not hold", "not settled", "not measured"]
    reason: str = ""
    of: float | None = None
    than: float | None = None
    effect: float | None = None
    interval: Interval | None = None
    p: float | None = None
    """One-sided: the chance of such an effect if there were none."""
    seeds: tuple[int, int] = (0, 0)
    """Trainings behind each of both sides."""


def load_claims(name: str | Path) -> tuple[Claim, ...]:
    """Claims by file, or by the name of a shipped list. Raises SuiteError naming file, claim and key."""
    path = Path(name)
    if not path.is_file():
        shipped = {file.stem: file for file in CLAIMED.glob("*.yaml")}
        if str(name) not in shipped:
            raise SuiteError(f"no claims {str(name)!r}; {suggest(str(name), shipped)}; or give a YAML file")
        path = shipped[str(name)]
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, list) or not data:
        raise SuiteError(f"{path}: a list of claims is needed")
    return tuple(_claim(item, f"{path}: claim {place}") for place, item in enumerate(data, 1))


def _claim(data: object, where: str) -> Claim:
    try:
        return Claim.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "it"
        keys = [field.alias or name for name, field in Claim.model_fields.items()]
        advice = suggest(key, keys) if first["type"] == "extra_forbidden" else first["msg"]
        raise SuiteError(f"{where}: {key}: {advice}") from error


def judge_claims(side: Side, claims: Sequence[Claim]) -> list[Finding]:
    """Every claim, by what a Run folder holds."""
    return [_judged(side, claim, claims) for claim in claims]


def _judged(side: Side, claim: Claim, claims: Sequence[Claim]) -> Finding:
    try:
        ours, theirs = _systems(side, claim.of), _systems(side, claim.than)
        our_values = [side.measured(name, claim.metric).value for name in ours]
        their_values = [side.measured(name, claim.metric).value for name in theirs]
        # The margin scales the other side: of - (1 + or - margin) * than.
        sign = 1.0 if claim.direction == "higher" else -1.0
        scale = 1 - sign * claim.margin
        effect = sign * (fmean(our_values) - scale * fmean(their_values))
        parts = [_sampling(side, claim.metric, ours, theirs, scale)]
        if not claim.same_training:
            parts.append(_training(side, claims, claim.metric, len(ours), len(theirs)))
        error, freedom = _together(parts)
    except IncompleteError as error_:
        return Finding(claim.claim, claim.metric, "not measured", str(error_))
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    interval = Interval(effect - half, effect + half, LEVEL, f"Student's t, {freedom:.1f} degrees of freedom")
    outcome: Literal["holds", "does not hold", "not settled"] = "not settled"
    if interval.low > 0 or interval.high < 0:
        outcome = "holds" if interval.low > 0 else "does not hold"
    p = float(stdtr(freedom, -effect / error)) if error else float(effect <= 0)
    return Finding(
        claim.claim,
        claim.metric,
        outcome,
        of=fmean(our_values),
        than=fmean(their_values),
        effect=effect,
        interval=interval,
        p=p,
        seeds=(len(ours), len(theirs)),
    )


def _systems(side: Side, patterns: Sequence[str]) -> list[str]:
    for pattern in patterns:
        if not _found(side, [pattern]):
            names = [system.name for system in side.run.systems]
            raise IncompleteError(f"{side.name}: no system {pattern!r}; {suggest(pattern, names)}")
    return _found(side, patterns)


def _sampling(side: Side, metric: str, ours: Sequence[str], theirs: Sequence[str], scale: float) -> Variance:
    a, b = ([found for name in names if (found := _units(side, name, metric))] for names in (ours, theirs))
    if len(a) == len(ours) and len(b) == len(theirs):
        shared = set.intersection(*(set(groups) for groups in (*a, *b)))
        gaps = [
            fmean(fmean(groups[prompt]) for groups in a)
            - scale * fmean(fmean(groups[prompt]) for groups in b)
            for prompt in sorted(shared)
        ]
        if len(gaps) > 1:
            return Variance(variance(gaps) / len(gaps), len(gaps) - 1)
    errors = [fmean(_error(side, name, metric) for name in names) for names in (ours, theirs)]
    return Variance(errors[0] ** 2 + (scale * errors[1]) ** 2, GROUPS - 1)


def _units(side: Side, name: str, metric: str) -> Mapping[str, Sequence[float]]:
    """What each prompt, or group of prompts, contributes to a number: scores of clips, or one influence."""
    if scores := side.scores.get((name, metric)):
        return by_prompt(scores)
    return {unit: [pulled] for unit, pulled in side.influence.get((name, metric), {}).items()}


def _error(side: Side, name: str, metric: str) -> float:
    """The standard error behind an interval, as if it were Student's t."""
    from scipy.special import stdtrit

    measured = side.measured(name, metric)
    if measured.interval is None:
        raise IncompleteError(f"{side.name}: {metric} of {name} has no interval: {measured.no_interval}")
    half = (measured.interval.high - measured.interval.low) / 2
    return half / float(stdtrit(GROUPS - 1, (1 + measured.interval.level) / 2))


def _training(side: Side, claims: Sequence[Claim], metric: str, ours: int, theirs: int) -> Variance:
    """Of the difference, from the spread between seeds pooled over every system that has several."""
    groups = {patterns for claim in claims for patterns in (claim.of, claim.than)}
    values = []
    for names in {tuple(_found(side, patterns)) for patterns in groups}:
        results = [side.measured(name, metric).value for name in names]
        if len(results) > 1:
            values.append(results)
    freedom = sum(len(found) - 1 for found in values)
    if not freedom:
        raise IncompleteError(
            f"{side.name}: no system was trained with several seeds, so the chance of a training is unknown"
        )
    spread = sum((len(found) - 1) * variance(found) for found in values) / freedom
    return Variance(spread * (1 / ours + 1 / theirs), freedom)


def _found(side: Side, patterns: Sequence[str]) -> list[str]:
    names = [system.name for system in side.run.systems]
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _together(parts: Sequence[Variance]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of variances (Welch 1947, Satterthwaite 1946)."""
    total = math.fsum(part.value for part in parts)
    spent = math.fsum(part.value**2 / part.freedom for part in parts)
    return math.sqrt(total), total**2 / spent if spent else max(part.freedom for part in parts)
