"""Label divergence segment by segment: what a tagger hears in ten seconds of a clip and of its recording.

Rows are logits, one for each segment; segment i of a clip is paired with segment i of its recording, as
far as both reach. `direction` says which distribution comes first: the one that is averaged over. 1e-6 is
added to the other. Source: audiocraft (metrics/kld.py), which takes the recording first, and calls the sum of
both directions `both`.
"""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, generated_rows, mean_measurement, rows
from arc_eval.metrics.known import BROKEN_OR_WRONG, question
from arc_eval.metrics.label_kl import label_divergence, partner, take_of
from arc_eval.metrics.label_levels import EPSILON, Direction, levels
from arc_eval.metrics.units import unit_places
from arc_eval.records.measurement import Measurement


def divergence(
    generated: Tensor,  # float[segment, class]
    reference: Tensor,  # float[segment, class]
    direction: Direction,
) -> Tensor:
    """float64[segment] in nats, from logits; `both` is the sum of the two directions."""
    if direction == "generated_reference":
        return label_divergence(generated, reference)
    if direction == "reference_generated":
        return label_divergence(reference, generated)
    return label_divergence(generated, reference) + label_divergence(reference, generated)


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
            "both": evenly_first + evenly_last,
        }
        odds = [math.log(0.9), math.log(0.1)]
        return [
            question(
                "even odds against 9 to 1",
                self.name,
                answers[self.direction],
                self.extractor,
                [[0.0, 0.0]],
                paired=[odds],
            ),
            # As logits the two segments average to even odds, which would be no divergence at all.
            question(
                "even odds against 9 to 1 and then against 1 to 9",
                self.name,
                answers[self.direction],
                self.extractor,
                [[0.0, 0.0], [0.0, 0.0]],
                paired=[odds, odds[::-1]],
                segments=2,
            ),
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
        """The mean in nats, lower is better, interval by bootstrap over prompts; and what it compares with.

        `kl_chance` is what segments of other prompts' recordings would score, `kl_constant` what a system
        that always says the recordings' mean labels would, in the same direction.
        """
        scores = self.scores(evidence)
        found = [mean_measurement(self.name, scores, "nat", "lower", evidence)]
        for name, level in self._levels(evidence, {clip.rsplit("#", 1)[0] for clip in scores}).items():
            found.append(mean_measurement(f"{name}[{self.extractor}]", level, "nat", "none", evidence))
        return found

    def _levels(self, evidence: Evidence, prompts: Set[str]) -> dict[str, dict[str, float]]:
        """Recording id to the mean level over its segments; nothing where all are of one recording."""
        described = rows(evidence.paired, self.extractor, "recordings of the suite's prompts")
        recorded = replace(described, clusters=evidence.clusters)
        own = [place for place, prompt in enumerate(recorded.prompts) if prompt in prompts]
        of = unit_places([recorded.units[place] for place in own])
        if int(of.max()) < 1:
            return {}
        found = levels(recorded.values[own], of, self.direction)
        places = _segments(Rows(recorded.described[own], tuple(recorded.owners[place] for place in own)))
        return {
            name: {owner: float(level[torch.tensor(segments)].mean()) for owner, segments in places.items()}
            for name, level in found.items()
        }


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
