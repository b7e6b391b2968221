"""Claims about systems, as a paper makes them, judged by a Run: a difference, its interval and its p-value.

A system may have been trained several times: then it has a row for each seed, and its number is their
mean. Two kinds of chance enter. Sampling: the prompts and clips; paired by prompt where a Run has scores
of clips or the influence of prompts, else taken from both intervals, which are treated as independent and
the seeds of one system as wholly dependent (both widen the interval). Training: the variance between the
seeds of a system, pooled over all systems with several, also for those that were trained once; or, where
both sides are the same weights used in two ways, the variance of their difference between trainings.
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
from arc_eval.gate.trainings import Contrast, between_trainings, within_trainings
from arc_eval.gate.variance import Variance, together
from arc_eval.records.measurement import Interval
from arc_eval.stats import MINIMUM_PROMPTS, by_prompt

CLAIMED = Path(__file__).parent / "claimed"
LEVEL = 0.95
Outcome = Literal["holds", "does not hold", "not settled", "not measured"]
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
    """Whether both are the same weights, used in two ways; of several trainings, each beside itself."""


@dataclass(frozen=True)
class Finding:
    """What a Run says of a claim. `effect` is signed so that positive supports it, the margin included."""

    claim: str
    metric: str
    outcome: Outcome
    reason: str = ""
    of: float | None = None
    than: float | None = None
    effect: float | None = None
    interval: Interval | None = None
    p: float | None = None
    """One-sided: the chance of such an effect if there were none."""
    seeds: tuple[int, int] = (0, 0)
    """Trainings behind each of both sides."""
    sampling_error: float | None = None
    """The standard error that prompts and clips alone give the effect."""
    training_error: float | None = None
    """The same of the trainings; None where it could not be seen."""
    remarks: tuple[str, ...] = ()
    """What the interval rests on, or leaves out."""


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
    sign = 1.0 if claim.direction == "higher" else -1.0
    try:
        if waiting := [stage for stage, state in side.run.stages.items() if state in ("waiting", "running")]:
            raise IncompleteError(f"{side.name}: not finished ({', '.join(waiting)}); run the suite again")
        ours, theirs = _systems(side, claim.of), _systems(side, claim.than)
        # The margin scales the other side: of - (1 + or - margin) * than.
        contrast = Contrast(side, claim.metric, ours, theirs, 1 - sign * claim.margin)
        effect = sign * contrast.value
        sampling = _sampling(contrast)
        if claim.same_training:
            training = within_trainings(contrast)
        else:
            rows = {_found(side, patterns) for other in claims for patterns in (other.of, other.than)}
            training = between_trainings(contrast, sorted(rows))
        whole = together([sampling, training.variance] if training.variance else [sampling])
        if not whole.value:
            raise IncompleteError(f"{side.name}: neither prompts nor trainings differ, so chance is unknown")
    except IncompleteError as error:
        return Finding(claim.claim, claim.metric, "not measured", str(error))
    from scipy.special import stdtr, stdtrit

    error_ = math.sqrt(whole.value)
    half = float(stdtrit(whole.freedom, (1 + LEVEL) / 2)) * error_
    method = f"Student's t, {whole.freedom:.1f} degrees of freedom"
    interval = Interval(effect - half, effect + half, LEVEL, method)
    return Finding(
        claim.claim,
        claim.metric,
        _outcome(interval),
        of=fmean(contrast.values(ours)),
        than=fmean(contrast.values(theirs)),
        effect=effect,
        interval=interval,
        p=float(stdtr(whole.freedom, -effect / error_)),
        seeds=(len(ours), len(theirs)),
        sampling_error=math.sqrt(sampling.value),
        training_error=math.sqrt(training.variance.value) if training.variance else None,
        remarks=tuple(filter(None, (training.remark, *_lost(side)))),
    )


def _outcome(interval: Interval) -> Outcome:
    if interval.low > 0 or interval.high < 0:
        return "holds" if interval.low > 0 else "does not hold"
    return "not settled"


def _lost(side: Side) -> list[str]:
    """Stages that came to an end without all that was planned."""
    return [f"{stage} {state}" for stage, state in side.run.stages.items() if state != "done"]


def _systems(side: Side, patterns: Sequence[str]) -> tuple[str, ...]:
    for pattern in patterns:
        if not _found(side, [pattern]):
            names = [system.name for system in side.run.systems]
            raise IncompleteError(f"{side.name}: no system {pattern!r}; {suggest(pattern, names)}")
    return _found(side, patterns)


def _sampling(contrast: Contrast) -> Variance:
    side, metric, scale = contrast.side, contrast.metric, contrast.scale
    ours, theirs = contrast.ours, contrast.theirs
    a, b = ([found for name in names if (found := _units(side, name, metric))] for names in (ours, theirs))
    if len(a) == len(ours) and len(b) == len(theirs):
        shared = set.intersection(*(set(groups) for groups in (*a, *b)))
        gaps = [
            fmean(fmean(groups[prompt]) for groups in a)
            - scale * fmean(fmean(groups[prompt]) for groups in b)
            for prompt in sorted(shared)
        ]
        if len(gaps) >= MINIMUM_PROMPTS:
            return Variance(variance(gaps) / len(gaps), len(gaps) - 1)
    errors = [fmean(_error(side, name, metric) for name in names) for names in (ours, theirs)]
    return Variance(errors[0] ** 2 + (scale * errors[1]) ** 2, GROUPS - 1)


def _units(side: Side, name: str, metric: str) -> Mapping[str, Sequence[float]]:
    """What each prompt, or group of prompts, contributes to a number: scores of clips, or one influence."""
    if scores := side.scores.get((name, metric)):
        return by_prompt(scores, side.clusters)
    return {unit: [pulled] for unit, pulled in side.influence.get((name, metric), {}).items()}


def _error(side: Side, name: str, metric: str) -> float:
    """The standard error behind an interval, as if it were Student's t."""
    from scipy.special import stdtrit

    measured = side.measured(name, metric)
    if measured.interval is None:
        raise IncompleteError(f"{side.name}: {metric} of {name} has no interval: {measured.no_interval}")
    # The longer side: the other may have been cut at the end of the metric's range.
    half = max(measured.interval.high - measured.value, measured.value - measured.interval.low)
    return half / float(stdtrit(GROUPS - 1, (1 + measured.interval.level) / 2))


def _found(side: Side, patterns: Sequence[str]) -> tuple[str, ...]:
    names = (system.name for system in side.run.systems)
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
