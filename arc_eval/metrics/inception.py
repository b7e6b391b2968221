"""Inception score of a tagger's labels: how sure it is of each clip, and how much the clips differ in kind.

exp of the mean divergence KL(label distribution of a clip || mean distribution), from 1 to the number of
classes. Rows are logits; windows of a clip are averaged as logits, then softmax. One split: all clips. No
reference enters, so it says nothing about the prompts, and it grows a little with the number of clips.
Source: Salimans et al. 2016.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import PromptGroups, clip_means, measurement, rows
from arc_eval.records.measurement import Measurement


def inception_score(
    logits: Tensor,  # float64[clip, class]
) -> float:
    """At least 1; 1 if all clips have the same labels. Raises IncompleteError for fewer than two clips."""
    if len(logits) < 2:
        raise IncompleteError(f"the inception score compares clips, at least 2; there are {len(logits)}")
    labels = logits.softmax(1)
    # Mutual information of clip and label: entropy of the mean less mean entropy.
    shared_entropy = torch.special.entr(labels.mean(0)).sum()
    own_entropy = torch.special.entr(labels).sum(1).mean()
    return math.exp(max(0.0, float(shared_entropy - own_entropy)))


@dataclass(frozen=True)
class Inception:
    """Inception score of the generated clips: `inception[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"inception[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, higher is better; interval by jackknife over groups of prompts."""
        clips = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        value = inception_score(clips.values)
        groups = PromptGroups.deal(clips.prompts)

        def left_out() -> list[float]:
            return [inception_score(clips.values[groups.of != group]) for group in range(len(groups))]

        counts = replace(evidence.counts, scored=len(clips))
        bounds = (1.0, float(clips.values.shape[1]))
        return [
            measurement(
                self.name, value, "", "higher", counts, lambda: groups.interval(value, left_out, bounds)
            )
        ]


class Settings(shared.Settings):
    """`{kind: inception, extractor: NAME}`; the extractor's rows must be logits of classes."""

    def build(self) -> Inception:
        """The metric of these settings."""
        return Inception(self.extractor)
