"""Label divergence segment by segment: what a tagger hears in ten seconds of a clip and of its recording.

Rows are logits, one for each segment; segment i of a clip is paired with segment i of its recording, as
far as both reach. `direction` says which distribution comes first: the one that is averaged over. 1e-6 is
added to the other. Source: audiocraft, which takes the recording first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, generated_rows, mean_measurement, rows
from arc_eval.metrics.known import BROKEN_OR_WRONG, question
from arc_eval.metrics.label_kl import EPSILON, label_divergence, partner, take_of
from arc_eval.records.measurement import Measurement

Direction = Literal["reference_generated", "generated_reference", "both"]


def divergence(
    generated: Tensor,  # float[segment, class]
    reference: Tensor,  # float[segment, class]
    direction: Direction,
) -> Tensor:
    """float64[segment] in nats, from logits; `both` is the mean of the two directions."""
    if direction == "generated_reference":
        return label_divergence(generated, reference)
    if direction == "reference_generated":
        return label_divergence(reference, generated)
    return (label_divergence(generated, reference) + label_divergence(reference, generated)) / 2


@dataclass(frozen=True)
class SegmentKl:
    """Mean divergence of paired segments: `kl[extractor]`."""

    extractor: str
    direction: Direction

    @property
    def name(self) -> str:
        return f"kl[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_OR_WRONG}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        evenly_first = math.log(0.5) - (math.log(0.9 + EPSILON) + math.log(0.1 + EPSILON)) / 2
        evenly_last = 0.9 * math.log(0.9) + 0.1 * math.log(0.1) - math.log(0.5 + EPSILON)
        answers = {
            "generated_reference": evenly_first,
            "reference_generated": evenly_last,
            "both": (evenly_first + evenly_last) / 2,
        }
        return [
            question(
                "even odds against 9 to 1",
                self.name,
                answers[self.direction],
                self.extractor,
                [[0.0, 0.0]],
                paired=[[math.log(0.9), math.log(0.1)]],
            )
        ]

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to the mean over its segments, for clips whose prompt has a recording.

        Raises IncompleteError if no prompt has one.
        """
        generated = generated_rows(evidence, self.extractor)
        recorded = rows(evidence.paired, self.extractor, "recordings of the suite's prompts")
        theirs = _segments(recorded)
        recordings: dict[str, list[str]] = {}
        for recording in sorted(theirs, key=take_of):
            recordings.setdefault(recording.rsplit("#", 1)[0], []).append(recording)
        found = {}
        for clip, ours in _segments(generated).items():
            choices = recordings.get(clip.rsplit("#", 1)[0])
            if choices is None:
                continue
            other = theirs[partner(take_of(clip), choices, take_of)]
            count = min(len(ours), len(other))
            pairs = generated.values[ours[:count]], recorded.values[other[:count]]
            found[clip] = fmean(divergence(*pairs, self.direction).tolist())
        if not found:
            raise IncompleteError(f"{self.name}: no generated clip's prompt has a recording to compare with")
        return found

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """The mean in nats, lower is better, interval by bootstrap over prompts."""
        return [mean_measurement(self.name, self.scores(evidence), "nat", "lower", evidence)]


class Settings(shared.Settings):
    """`{kind: segment_kl, extractor: NAME}`; rows are logits, one for each segment of a clip."""

    direction: Direction = "reference_generated"

    def build(self) -> SegmentKl:
        """The metric of these settings."""
        return SegmentKl(self.extractor, self.direction)


def _segments(described: Rows) -> Mapping[str, Sequence[int]]:
    """Clip to the places of its rows, in order."""
    found: dict[str, list[int]] = {}
    for place, owner in enumerate(described.owners):
        found.setdefault(owner, []).append(place)
    return found
