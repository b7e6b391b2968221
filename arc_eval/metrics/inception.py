"""Inception score of what a tagger hears: `inception[extractor]`.

exp of the mean divergence of a clip's label distribution from that of all clips together: 1 where every
clip says the same, the number of classes where each says one of its own. Windows of a clip are
averaged as logits. Computed once over all clips, not in ten splits. Source: Salimans et al. 2016.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, generated_rows, set_measurement
from arc_eval.metrics.groups import PromptGroups
from arc_eval.metrics.known import question
from arc_eval.records.measurement import Measurement


def inception_score(
    logits: Tensor,  # float[clip, class]
) -> float:
    """Between 1 and the number of classes."""
    each = logits.double().softmax(1)
    together = torch.special.entr(each.mean(0)).sum()
    return float((together - torch.special.entr(each).sum(1).mean()).exp())


@dataclass(frozen=True)
class Inception:
    """How certain and how various the labels of a system's clips are."""

    extractor: str

    @property
    def name(self) -> str:
        return f"inception[{self.extractor}]"

    def known_answers(self) -> list[KnownAnswer]:
        """See `canaries.SelfChecking`."""
        sure = [[99.0, 0.0], [0.0, 99.0]]
        return [question("two clips, each of a class of its own", self.name, 2.0, self.extractor, sure)]

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, higher is better; interval by jackknife over groups of prompts."""
        clips = clip_means(generated_rows(evidence, self.extractor))
        groups = PromptGroups.deal(clips.units)
        value = inception_score(clips.values)
        counts = replace(evidence.counts, scored=len(clips), rows=len(clips))

        def influence() -> dict[str, float]:
            return groups.influence(
                value, lambda: [inception_score(clips.values[groups.of != g]) for g in range(len(groups))]
            )

        bounds = (1.0, math.inf)
        return [set_measurement(self.name, influence, value, "higher", counts, bounds)]


class Settings(shared.Settings):
    """`{kind: inception, extractor: NAME}`; the extractor's rows must be logits of classes."""

    def build(self) -> Inception:
        """The metric of these settings."""
        return Inception(self.extractor)
