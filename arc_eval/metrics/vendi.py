"""Vendi score: how many different clips a set is worth, `vendi[extractor]`.

The exponential of the entropy of the eigenvalues of K / n, K the cosine similarity of all pairs: 1 for
copies, n for clips at right angles. It grows with the number of clips, so it compares at equal numbers
only. Source: Friedman and Dieng 2023.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, generated_rows, set_measurement
from arc_eval.metrics.groups import PromptGroups
from arc_eval.metrics.known import question
from arc_eval.records.measurement import Measurement


def vendi_score(
    clips: Tensor,  # float[clip, feature]
) -> float:
    """Between 1 and the smaller of clips and features. Raises IncompleteError for a clip of zeros."""
    lengths = clips.double().norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise IncompleteError("a row of zeros has no direction, so it is similar to nothing")
    units = clips.double() / lengths
    # The eigenvalues of X X^T that are not zero are those of X^T X: the smaller of both is decomposed.
    gram = units @ units.T if len(units) < units.shape[1] else units.T @ units
    shares = torch.linalg.eigvalsh(gram / len(units)).clamp(min=0)
    return float(torch.special.entr(shares).sum().exp())


@dataclass(frozen=True)
class Vendi:
    """Effective number of different clips of a system."""

    extractor: str

    @property
    def name(self) -> str:
        return f"vendi[{self.extractor}]"

    def known_answers(self) -> list[KnownAnswer]:
        """See `canaries.SelfChecking`."""
        rows_ = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]]
        return [question("two directions, two clips of each", self.name, 2.0, self.extractor, rows_)]

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, higher is better; interval by jackknife over groups of prompts."""
        clips = clip_means(generated_rows(evidence, self.extractor))
        groups = PromptGroups.deal(clips.units)
        value = vendi_score(clips.values)
        counts = replace(evidence.counts, scored=len(clips), rows=len(clips))

        def influence() -> dict[str, float]:
            return groups.influence(
                value, lambda: [vendi_score(clips.values[groups.of != g]) for g in range(len(groups))]
            )

        bounds = (1.0, math.inf)
        return [set_measurement(self.name, influence, value, "higher", counts, bounds, unit="clips")]


class Settings(shared.Settings):
    """`{kind: vendi, extractor: NAME}`."""

    def build(self) -> Vendi:
        """The metric of these settings."""
        return Vendi(self.extractor)
