"""Canaries: sounds of which everybody knows that they are worse, scored before anything else.

Recordings of the reference set are described untouched, as silence, as noise, at half their bandwidth,
..., and under wrong captions; each metric then judges them against the untouched ones. A metric that
ranks them wrongly, or misses an answer that mathematics gives, is blocked: its number would mean
nothing. An extractor that hears the same sound differently at another sample rate blocks all its metrics.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from arc_eval.canaries import Ranking, SelfChecking
from arc_eval.contracts import DataSource, Evidence, Metric, PerClip, Progress
from arc_eval.errors import ArcEvalError, NotComparableError
from arc_eval.pipeline.alter import ALTERED, HALF_RATE, OTHER_RATE, Altered
from arc_eval.pipeline.controls import exchanged
from arc_eval.pipeline.extract import describe, describe_captions
from arc_eval.pipeline.items import Item, reference_items
from arc_eval.pipeline.pool import Pool, one_thread, together
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Measurement
from arc_eval.records.prompt import Prompt
from arc_eval.stats import by_prompt
from arc_eval.store import Store, source_digest
from arc_eval.suite import Part, Suite

UNTOUCHED, WRONG_CAPTIONS = "untouched", "wrong captions"
FEWEST = 8
"""Recordings, with which an order can be told from chance."""
MARGIN = 3.0
"""Standard errors by which a mean over clips must differ to count as different."""
NEARER = 0.1
"""A recording at twice the rate may be as far from itself as this share of its way to the others."""


@dataclass(frozen=True)
class Canaries:
    """What the metrics said of the canaries, and which of them are blocked by it."""

    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Result name (`fd[tiny-clap]`) to canary to value."""
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Metric name to the reason."""


def listen(
    suite: Suite, extractors: Mapping[str, Part], store: Store, pool: Pool, progress: Progress
) -> Canaries:
    """Every metric of the suite on the canaries; known answers alone, if there are too few recordings."""
    metrics: list[Metric] = [part.build() for part in suite.metrics]
    blocked = {metric.name: reason for metric in metrics if (reason := wrong_answer(metric))}
    source: DataSource = suite.reference.build()
    items = reference_items(suite.reference, source)[: suite.canaries] if source.takes() else []
    if len(items) < FEWEST:
        return Canaries({}, blocked)
    known = {prompt.id: prompt for prompt in source.prompts()}
    prompts = [known[item.owner] for item in items]
    asked = [item for canary in (UNTOUCHED, *ALTERED, OTHER_RATE) for item in _altered(items, canary)]
    values: dict[str, dict[str, float]] = {}
    ranking = [metric for metric in metrics if isinstance(metric, Ranking)]
    names = {metric.extractor for metric in ranking}
    parts = {name: part for name, part in extractors.items() if name in names}
    heard_by = describe(parts, asked, store, pool, progress, "listen: canaries")
    for name, extractor in zip(parts, together(tuple(parts.values())), strict=True):
        described = heard_by[name]
        rows = {canary: _of(described.rows, canary) for canary in (UNTOUCHED, *ALTERED, OTHER_RATE)}
        deaf = _hears_the_rate(rows[HALF_RATE], rows.pop(OTHER_RATE))
        captions = describe_captions(extractor, prompts, store)
        text = captions.rows if captions else None
        labels = {name: described.labels} if described.labels else {}
        for metric in (metric for metric in ranking if metric.extractor == name):
            shown = {
                canary: _evidence(name, prompts, rows[UNTOUCHED], heard, text, labels)
                for canary, heard in _heard(rows, prompts, suite.seed).items()
            }
            found, reason = judged(metric, shown)
            values |= found
            if deaf or reason:
                blocked.setdefault(metric.name, deaf or reason)
    return Canaries(values, blocked)


def wrong_answer(metric: Metric) -> str:
    """What is wrong with a metric's answer to a question that mathematics answers; "" if nothing is."""
    if not isinstance(metric, SelfChecking):
        return ""
    for question in metric.known_answers():
        try:
            found = {result.metric: result.value for result in metric.measure(question.evidence)}
        except ArcEvalError as error:
            return f"blocked: {question.metric} of {question.asked}: {error}"
        value = found.get(question.metric, math.nan)
        if not abs(value - question.value) <= 1e-5 * max(1.0, abs(question.value)):
            return (
                f"blocked: {question.metric} of {question.asked} is {question.value:.6g}, "
                f"but this metric says {value}"
            )
    return ""


def judged(metric: Metric, shown: Mapping[str, Evidence]) -> tuple[dict[str, dict[str, float]], str]:
    """A metric's values by result and canary, and why it is blocked; "" if the order is right.

    What the metric cannot judge (too few rows, no captions) is left out.
    """
    assert isinstance(metric, Ranking)
    results: dict[str, dict[str, Measurement]] = {}
    scores: dict[str, Mapping[str, float]] = {}
    for canary, evidence in shown.items():
        try:
            with one_thread():
                measured = metric.measure(evidence)
                if isinstance(metric, PerClip):
                    scores[canary] = metric.scores(evidence)
        except NotComparableError:
            raise
        except ArcEvalError:
            continue
        for result in measured:
            results.setdefault(result.metric, {})[canary] = result
    values = {name: {canary: one.value for canary, one in found.items()} for name, found in results.items()}
    for name, worse in metric.ranks.items():
        found = results.get(name, {})
        if UNTOUCHED not in found:
            continue
        scale = max(abs(one.value) for one in found.values())
        for canary in found:
            if canary == UNTOUCHED:
                continue
            gap = _gap(found[UNTOUCHED], found[canary], scale, scores.get(UNTOUCHED), scores.get(canary))
            if gap < 0 or (canary in worse and gap == 0):
                ours, theirs = found[UNTOUCHED].value, found[canary].value
                should = "better than" if canary in worse else "no worse than"
                return values, (
                    f"blocked: {len(shown[canary].prompts)} recordings of the reference should be {should} "
                    f"{canary}, but {name} is {ours:.4g} for them and {theirs:.4g} for {canary}"
                )
    return values, ""


def _gap(
    ours: Measurement,
    theirs: Measurement,
    scale: float,
    our_scores: Mapping[str, float] | None,
    their_scores: Mapping[str, float] | None,
) -> float:
    """How much better the untouched recordings are: 0 if that cannot be told from chance or rounding.

    A distance of nothing is what rounding leaves of the large sums that it is the difference of: `scale`,
    the largest value among the canaries, tells how large.
    """
    sign = -1.0 if ours.direction == "lower" else 1.0
    if our_scores and their_scores:
        both = our_scores.keys() & their_scores.keys()
        differences = by_prompt({clip: our_scores[clip] - their_scores[clip] for clip in both})
        gaps = [fmean(of_prompt) for of_prompt in differences.values()]
        error = stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.inf
        return sign * fmean(gaps) if abs(fmean(gaps)) > MARGIN * error else 0.0
    gap = sign * (ours.value - theirs.value)
    return gap if abs(gap) > max(1e-6 * max(abs(ours.value), abs(theirs.value)), 1e-9 * scale) else 0.0


def _heard(rows: Mapping[str, Embedding], prompts: Sequence[Prompt], seed: int) -> dict[str, Embedding]:
    """The rows of every canary; under wrong captions stand the untouched rows of another recording."""
    instead = exchanged(prompts, seed)
    owners = {other: own for own, other in instead.items()}
    untouched = rows[UNTOUCHED]
    swapped = replace(untouched, owners=tuple(owners[owner] for owner in untouched.owners))
    return {**rows, WRONG_CAPTIONS: swapped}


def _evidence(
    extractor: str,
    prompts: Sequence[Prompt],
    reference: Embedding,
    heard: Embedding,
    captions: Embedding | None,
    labels: Mapping[str, tuple[str, ...]],
) -> Evidence:
    clips = replace(heard, owners=tuple(clip_id(owner, 0) for owner in heard.owners))
    paired = replace(reference, owners=tuple(clip_id(owner, 0) for owner in reference.owners))
    count = len(set(heard.owners))
    return Evidence(
        prompts={prompt.id: prompt for prompt in prompts},
        generated={extractor: clips} if len(clips) else {},
        reference={extractor: reference},
        text={extractor: captions} if captions is not None else {},
        paired={extractor: paired},
        labels=labels,
        counts=Counts(count, count, count),
    )


def _altered(items: Sequence[Item], canary: str) -> list[Item]:
    """The same recordings, changed while they are read; owners are marked with the canary."""
    if canary == UNTOUCHED:
        return [replace(item, owner=f"{canary}/{item.owner}") for item in items]
    code = {"canary": canary, "altered by": source_digest("arc_eval.pipeline.alter", "arc_eval.dsp")}
    return [
        Item(f"{canary}/{item.owner}", {**item.origin, **code}, Altered(item.audio, canary, item.owner))
        for item in items
    ]


def _of(rows: Embedding, canary: str) -> Embedding:
    """The rows of one canary, owned by the recordings again."""
    mark = f"{canary}/"
    own = [index for index, owner in enumerate(rows.owners) if owner.startswith(mark)]
    return replace(
        rows, values=rows.values[own], owners=tuple(rows.owners[index].removeprefix(mark) for index in own)
    )


def _hears_the_rate(once: Embedding, twice: Embedding) -> str:
    """Why the extractor's metrics are blocked, if they hear the sample rate of a recording."""
    ours, theirs = _means(once), _means(twice)
    both = sorted(ours.keys() & theirs.keys())
    if len(both) < 2:
        return ""
    a, b = (torch.stack([rows[owner] for owner in both]) for rows in (ours, theirs))
    origin = a.mean(0)
    apart = (a - b).square().sum(1).mean()
    spread = 2 * (a - origin).square().sum(1).mean() * len(both) / (len(both) - 1)
    if apart <= NEARER**2 * spread:
        return ""
    similar = float(cosine_similarity(a, b).mean())
    return (
        "blocked: recordings at twice their rate are described as other sounds (mean cosine "
        f"{similar:.3f} with themselves); is the extractor's resampling right?"
    )


def _means(rows: Embedding) -> dict[str, Tensor]:
    owners: dict[str, list[int]] = {}
    for index, owner in enumerate(rows.owners):
        owners.setdefault(owner, []).append(index)
    return {owner: rows.values[own].double().mean(0) for owner, own in owners.items()}
