"""Statistics of a whole set made linear: for each prompt, the value as that prompt pulls it.

A Fréchet distance is no mean over clips, yet near the whole set it behaves like one: leave a prompt
out and it moves by about that prompt's influence (Hampel 1974). An `Influence` holds, for each unit,
the statistic plus that unit's influence: its mean over units is the statistic, the standard error of
that mean is the statistic's. Two systems on the same prompts are thus compared prompt by prompt,
and what a prompt does to both cancels. The unit is a prompt with all its takes, or a group of prompts
where only leaving out groups is affordable. The intervals are about the statistic's expectation at
this number of prompts: a bias that depends on the number stays in.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from arc_eval.errors import IncompleteError
from arc_eval.records.measurement import Influence, Interval
from arc_eval.stats import Groups, kind_of, require_prompts

LEVEL = 0.95


def mean_influence(groups: Groups) -> dict[str, float]:
    """Of the mean over all clips, from the scores of each prompt's clips."""
    clips = sum(map(len, groups.values()))
    value = math.fsum(score for scores in groups.values() for score in scores) / clips
    weight = len(groups) / clips
    return {
        prompt: value + weight * math.fsum(score - value for score in scores)
        for prompt, scores in sorted(groups.items())
    }


def jackknife_influence(
    value: float,
    left_out: Sequence[float],  # the statistic without group g
    groups: Mapping[str, int],  # group's name to how many prompts it holds, in the order of `left_out`
) -> dict[str, float]:
    """Of any statistic, from leaving out groups of prompts, which may differ in size.

    Its standard error is that of Busing, Meijer and van der Leeden 1999; with equal groups these are
    the pseudo-values of Tukey, moved to the statistic.
    """
    count, total = len(left_out), sum(groups.values())
    ratio = total / np.array(list(groups.values()), dtype=np.float64)
    without = np.asarray(left_out, dtype=np.float64)
    pseudo = ratio * value - (ratio - 1) * without
    centre = count * value - ((1 - 1 / ratio) * without).sum()
    pull = (pseudo - centre) * np.sqrt((count - 1) / (ratio - 1))
    return dict(zip(groups, (value + pull - pull.mean()).tolist(), strict=True))


def influence_interval(
    influence: Influence, value: float, *, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """Student's interval around `value`, cut at the statistic's `bounds`; the reference is held fixed.

    Raises IncompleteError below MINIMUM_PROMPTS units or if all pull alike.
    """
    pulls = _pulls(influence)
    low, high = _around(value, pulls, units(influence))
    method = f"influence of {units(influence)}, reference fixed"
    return Interval(max(bounds[0], low), min(bounds[1], high), LEVEL, method)


def influence_difference(ours: Influence, theirs: Influence, value: float) -> Interval:
    """Interval of ours - theirs around `value`, paired by unit; both share the reference, which cancels.

    Units of one side alone (all takes of a prompt lost) count as independent. Raises IncompleteError
    if fewer than MINIMUM_PROMPTS are shared, or if every unit pulls both sides alike.
    """
    a, b = _pulls(ours), _pulls(theirs)
    shared = a.keys() & b.keys()
    require_prompts(len(shared))
    every = sorted(a.keys() | b.keys())
    gaps = {unit: a.get(unit, 0.0) - b.get(unit, 0.0) for unit in every}
    low, high = _around(value, gaps, units(shared))
    return Interval(low, high, LEVEL, f"paired influence of {units(shared)}")


def influence_ratio(ours: Influence, theirs: Influence, a: float, b: float) -> tuple[float, float]:
    """Ends of the interval of a / b, the positive statistics of ours and theirs, through the logarithm.

    Raises IncompleteError as `influence_difference`.
    """
    relative = [
        {unit: pulled / value for unit, pulled in side.items()} for side, value in ((ours, a), (theirs, b))
    ]
    found = influence_difference(relative[0], relative[1], math.log(a / b))
    return math.exp(found.low), math.exp(found.high)


def units(names: Mapping[str, float] | set[str]) -> str:
    """How many units there are, in words."""
    return f"{len(names)} {kind_of(names)}"


def _pulls(influence: Influence) -> dict[str, float]:
    """How far each unit moves the statistic: its influence over the number of units."""
    centre = math.fsum(influence.values()) / max(len(influence), 1)
    moved = {unit: (pulled - centre) / len(influence) for unit, pulled in influence.items()}
    rounding = 1e-12 * max(map(abs, influence.values()), default=0.0)
    return moved if max(map(abs, moved.values()), default=0.0) > rounding else dict.fromkeys(moved, 0.0)


def _around(value: float, pulls: Mapping[str, float], of: str) -> tuple[float, float]:
    from scipy.special import stdtrit

    count = len(pulls)
    require_prompts(count)
    if not any(pulls.values()):
        raise IncompleteError(f"all {of} pull alike, so the spread is unknown")
    error = math.sqrt(count / (count - 1) * math.fsum(pull**2 for pull in pulls.values()))
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return value - half, value + half
