"""Uncertainty of means, shares, set statistics and percentiles; the prompt is the unit.

Takes are nested in it: clips of one prompt resemble each other, so whole prompts are resampled or
left out, never single clips; likewise all prompts that are captions of one recording. Everything is
float64 and deterministic. A function that cannot give an honest interval raises IncompleteError, whose
message is the reason to print in its place.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arc_eval.errors import IncompleteError
from arc_eval.records.measurement import GROUP, Interval
from arc_eval.records.prompt import RECORDING

Groups = Mapping[str, Sequence[float]]
"""Unit (a prompt id, or that of a recording with several prompts) to the scores of its clips."""

MINIMUM_PROMPTS = 5
"""With fewer, the spread between prompts is itself unknown and every interval is too narrow."""

_BLOCK = 2**22  # numbers drawn at a time: bounds memory at some 32 MB whatever the number of prompts


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and how many units (prompts, trials) it rests on."""

    value: float
    interval: Interval
    count: int


def by_prompt(
    scores: Mapping[str, float], clusters: Mapping[str, str] | None = None
) -> dict[str, list[float]]:
    """Clip scores (`prompt#take` to score) gathered by prompt, prompts in order of their ids.

    clusters: prompt id to the unit that it shares with other prompts, if it does: gathered by that.
    """
    groups: dict[str, list[float]] = {}
    for clip in sorted(scores):
        prompt = clip.rsplit("#", 1)[0]
        groups.setdefault((clusters or {}).get(prompt, prompt), []).append(scores[clip])
    return groups


def kind_of(units: Collection[str]) -> str:
    """What units are, by their names: prompts, recordings, or groups of prompts."""
    if any(name.startswith(GROUP) for name in units):
        return "groups of prompts"
    return "recordings" if any(name.startswith(RECORDING) for name in units) else "prompts"


def mean_interval(groups: Groups, *, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Bootstrap interval of the mean over clips, prompts resampled with all their takes.

    Bias-corrected and accelerated (Efron 1987), which follows the skew of scores like KL, with
    Hesterberg's expansion to Student's t (2015), without which few prompts give too short an
    interval. Raises IncompleteError below MINIMUM_PROMPTS or if every prompt has the same mean.
    """
    totals, counts = _sums(groups)
    left_out = (totals.sum() - totals) / (counts.sum() - counts)
    own = totals / counts
    if np.ptp(own) <= 1e-12 * np.abs(own).max():  # rounding is no spread
        raise IncompleteError(f"all {len(totals)} prompts score the same, so their spread is unknown")
    means = _resampled_means(totals, counts, resamples, seed)
    low, high = np.quantile(means, _accelerated(means, totals.sum() / counts.sum(), left_out, level))
    method = f"BCa bootstrap over {len(totals)} {kind_of(groups)}, {resamples} resamples"
    return Interval(float(low), float(high), level, method)


def share_interval(groups: Groups, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share of clips, each score 0 or 1, for clips clustered by prompt.

    The clips count as many as independent ones of the same variance would (at most themselves);
    when all agree the clusters show no variance and each prompt counts once. Stays inside 0..1.
    Source: Franco, Little, Louis and Slud, 2019. Raises IncompleteError below MINIMUM_PROMPTS.
    """
    from scipy.special import stdtrit

    totals, counts = _sums(groups)
    prompts, clips = len(totals), counts.sum()
    share = totals.sum() / clips
    variance = prompts / (prompts - 1) * np.square(totals - share * counts).sum() / clips**2
    certain = share in (0.0, 1.0)
    effective = prompts if certain else min(clips, share * (1 - share) / max(variance, 1e-300))
    z = stdtrit(prompts - 1, (1 + level) / 2)
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    spread = math.sqrt(share * (1 - share) / effective + (z / (2 * effective)) ** 2)
    half = z / (1 + z**2 / effective) * spread
    return Interval(
        max(0.0, float(centre - half)),
        min(1.0, float(centre + half)),
        level,
        f"Wilson over {prompts} {kind_of(groups)}, {effective:.0f} effective clips",
    )


def prompt_groups(prompt_ids: Sequence[str], groups: int) -> list[int]:
    """Deals the prompts of rows into at most `groups` groups of near equal size: a group for each row.

    Decided by the set of prompt ids alone, so the order of rows changes nothing.
    """
    group = {prompt: index % groups for index, prompt in enumerate(sorted(set(prompt_ids)))}
    return [group[prompt] for prompt in prompt_ids]


def paired_difference(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    *,
    level: float = 0.95,
) -> Estimate:
    """How far `ours` lies above `theirs`: mean over shared prompts of the difference of their clip means.

    ours, theirs: clip id (`prompt#take`) to score; clusters: as in `by_prompt`. Student's interval:
    differences of like systems are symmetric however skewed their scores, and a correction for skewness,
    estimated from few, only adds noise. Exchanging the sides flips sign and interval exactly. Raises
    IncompleteError if they share fewer than MINIMUM_PROMPTS prompts, or if all differ by the same amount.
    """
    from scipy.special import stdtrit

    a, b = by_prompt(ours, clusters), by_prompt(theirs, clusters)
    shared = sorted(a.keys() & b.keys())
    require_prompts(len(shared))
    means = np.array([[np.mean(a[prompt]), np.mean(b[prompt])] for prompt in shared])
    differences = means[:, 0] - means[:, 1]
    if not np.isfinite(differences).all():
        raise IncompleteError("a score is not finite")
    if np.ptp(differences) <= 1e-12 * np.abs(means).max():  # rounding is no spread
        raise IncompleteError(f"all {len(shared)} prompts differ alike, so their spread is unknown")
    value = float(differences.mean())
    half = float(stdtrit(len(shared) - 1, (1 + level) / 2) * differences.std(ddof=1)) / math.sqrt(len(shared))
    method = f"Student's t over {len(shared)} paired {kind_of(shared)}"
    return Estimate(value, Interval(value - half, value + half, level, method), len(shared))


def samples_needed(fraction: float, confidence: float = 0.99) -> int:
    """Samples without which a percentile has no bound on either side at this confidence.

    p50 needs 7 and p90 needs 44 at 99 %: the extreme sample lies beyond the percentile with
    probability 1 - max(p, 1-p)^n. Raises ValueError unless both lie strictly between 0 and 1.
    """
    if not (0 < fraction < 1 and 0 < confidence < 1):
        raise ValueError(f"fraction and confidence lie between 0 and 1, not {fraction}, {confidence}")
    return math.ceil(math.log(1 - confidence) / math.log(max(fraction, 1 - fraction)))


def percentile(samples: Sequence[float], fraction: float, *, confidence: float = 0.99) -> Estimate:
    """A percentile of independent samples (seconds, bytes), linearly interpolated.

    Each end of the interval holds with `confidence`, from the binomial law of order statistics: no
    shape is assumed. Raises IncompleteError if there are fewer than `samples_needed`.
    """
    from scipy.stats import binom

    needed, count = samples_needed(fraction, confidence), len(samples)
    if count < needed:
        what = f"p{100 * fraction:g} needs at least {needed} samples at {confidence:.0%} confidence"
        raise IncompleteError(f"{what}; there are {count}")
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    if not np.isfinite(ordered).all():
        raise IncompleteError(f"{np.sum(~np.isfinite(ordered))} of {count} samples are not finite")
    # below[k] = P(at most k samples lie under the percentile). Its ends are the innermost order
    # statistics that are on the wrong side with probability at most 1 - confidence.
    below = binom.cdf(np.arange(count), count, fraction)
    low = max(int(np.searchsorted(below, 1 - confidence, side="right")) - 1, 0)
    high = min(int(np.searchsorted(below, confidence, side="left")), count - 1)
    method = f"order statistics of {count} samples, each end {confidence:.0%} sure"
    interval = Interval(float(ordered[low]), float(ordered[high]), round(2 * confidence - 1, 12), method)
    return Estimate(float(np.quantile(ordered, fraction)), interval, count)


def require_prompts(count: int) -> None:
    """Raises IncompleteError for fewer prompts (or groups of them) than an interval can rest on."""
    if count < MINIMUM_PROMPTS:
        raise IncompleteError(f"an interval needs at least {MINIMUM_PROMPTS} prompts; there are {count}")


def _sums(groups: Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the clips of each prompt, refusing what no interval can rest on."""
    filled = [np.asarray(groups[prompt], dtype=np.float64) for prompt in sorted(groups) if groups[prompt]]
    require_prompts(len(filled))
    totals = np.array([scores.sum() for scores in filled])
    if not np.isfinite(totals).all():
        raise IncompleteError("a score is not finite")
    return totals, np.array([float(len(scores)) for scores in filled])


def _resampled_means(
    totals: NDArray[np.float64], counts: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """The mean over clips of each resample, as many prompts drawn as there are."""
    rng = np.random.default_rng(seed)
    prompts = len(totals)
    step = max(1, _BLOCK // prompts)
    means = []
    for start in range(0, resamples, step):
        drawn = rng.integers(prompts, size=(min(step, resamples - start), prompts))
        means.append(totals[drawn].sum(1) / counts[drawn].sum(1))
    return np.concatenate(means)


def _accelerated(
    replicates: NDArray[np.float64], value: float, left_out: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Where among the replicates the ends of the BCa interval lie, as fractions."""
    from scipy.special import ndtr, ndtri, stdtrit

    prompts, resamples = len(left_out), len(replicates)
    under = np.mean(replicates < value) + np.mean(replicates == value) / 2
    bias = ndtri(np.clip(under, 0.5 / resamples, 1 - 0.5 / resamples))
    pull = left_out.mean() - left_out
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    reach = math.sqrt(prompts / (prompts - 1)) * stdtrit(prompts - 1, (1 + level) / 2)
    ends = bias + np.array([-reach, reach])
    room = 1 - acceleration * ends
    # Past the pole of the correction the end lies beyond every replicate.
    corrected = np.where(room > 0, bias + ends / np.where(room > 0, room, 1), np.sign(ends) * np.inf)
    fractions: NDArray[np.float64] = ndtr(corrected)
    return fractions
