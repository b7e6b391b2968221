"""What the tables of a Run say beneath its totals: scores by sound class, seconds by stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arc_eval.report.source import Entry


@dataclass(frozen=True)
class ClassScore:
    """Mean score of one system's clips whose prompt names a class; a clip with two classes counts in both."""

    label: str
    tag: str
    mean: float
    clips: int


def by_class(entries: Sequence[Entry], metric: str) -> list[ClassScore]:
    """Mean scores by system and class, classes in order of falling mean over generators."""
    groups: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        tags = {row.clip: row.tags for row in entry.source.clips if row.system == entry.system.name}
        for row in entry.source.scores:
            if row.system == entry.system.name and row.metric == metric:
                for tag in filter(None, tags.get(row.clip, "").split("|")):
                    groups.setdefault((entry.label, tag), []).append(row.score)
    found = [ClassScore(label, tag, _mean(scores), len(scores)) for (label, tag), scores in groups.items()]
    generators = {entry.label for entry in entries if entry.system.role == "generator"}
    means: dict[str, list[float]] = {}
    for cell in found:
        means.setdefault(cell.tag, []).extend([cell.mean] if cell.label in generators else [])
    rank = {tag: -_mean(values) if values else 0.0 for tag, values in means.items()}
    return sorted(found, key=lambda cell: (rank[cell.tag], cell.tag))


def stage_seconds(entry: Entry) -> dict[str, float]:
    """Mean seconds of each stage over the calls of a system; `other` is what no stage accounts for."""
    total: dict[int, float] = {}
    stages: dict[str, dict[int, float]] = {}
    for row in entry.source.trials:
        if row.system != entry.system.name:
            continue
        if row.stage == "total":
            total[row.trial] = row.seconds
        else:
            trials = stages.setdefault(row.stage, {})
            trials[row.trial] = trials.get(row.trial, 0.0) + row.seconds
    if not total:
        return {}
    means = {stage: math.fsum(trials.values()) / len(total) for stage, trials in stages.items()}
    other = _mean(list(total.values())) - math.fsum(means.values())
    return {**means, "other": other} if other > 0 else means


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
