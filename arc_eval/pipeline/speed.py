"""Raw trials to results: percentiles where their number supports them, with distribution-free intervals.

latency is of a whole call; a stage's time is its mean within a call (`stage_step`) or its sum
(`stage_text`, `stage_decode`); rtf is seconds of audio made in a second.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from arc_eval.errors import IncompleteError
from arc_eval.records.measurement import Counts, Direction, Failure, Measurement, Result
from arc_eval.stats import percentile

REPEATED_STAGES = ("step",)
"""Stages of which a call has many: their time is of one of them."""


def speed_results(trials: Sequence[Mapping[str, Any]]) -> tuple[Result, ...]:
    """Speed and memory of at least one trial; a median of too few is a Failure, p90 is left out."""
    latencies = [trial["seconds"] for trial in trials]
    results: list[Result] = [_median("latency_p50", latencies, "s", "lower")]
    results += _p90("latency_p90", latencies)
    stages = dict.fromkeys(name for trial in trials for name, _ in trial["stages"])
    results += [_median(f"stage_{stage}_p50", _stage(trials, stage), "s", "lower") for stage in stages]
    rates = [trial["audio_seconds"] / trial["seconds"] for trial in trials]
    results.append(_median("rtf", rates, "s/s", "higher"))
    results.append(_median("cpu_p50", [trial["cpu_seconds"] for trial in trials], "s", "lower"))
    results.append(_peak([trial["peak_bytes"] for trial in trials]))
    return tuple(results)


def _stage(trials: Sequence[Mapping[str, Any]], stage: str) -> list[float]:
    times = [[seconds for name, seconds in trial["stages"] if name == stage] for trial in trials]
    combine = fmean if stage in REPEATED_STAGES else sum
    return [combine(within) for within in times if within]


def _median(metric: str, samples: Sequence[float], unit: str, direction: Direction) -> Result:
    counts = Counts(len(samples), len(samples), len(samples))
    try:
        estimate = percentile(samples, 0.5)
    except IncompleteError as error:
        return Failure(metric, str(error), counts)
    return Measurement(metric, estimate.value, unit, direction, counts, estimate.interval)


def _p90(metric: str, samples: Sequence[float]) -> list[Measurement]:
    try:
        estimate = percentile(samples, 0.9)
    except IncompleteError:
        return []  # a tail that so few trials cannot know is not printed
    counts = Counts(len(samples), len(samples), len(samples))
    return [Measurement(metric, estimate.value, "s", "lower", counts, estimate.interval)]


def _peak(samples: Sequence[int]) -> Measurement:
    counts = Counts(len(samples), len(samples), len(samples))
    reason = "the largest of all trials, not an estimate"
    return Measurement("peak_memory", max(samples) / 1e6, "MB", "lower", counts, None, reason)
