"""Label divergence: KL(generated || reference) between what a tagger hears in a clip and in a recording.

Rows are logits. Windows of a clip are averaged as logits, then softmax; the sum over classes is in
nats, with 1e-6 added to the reference alone. So a clip and its own copy give not 0 but slightly
less, and nothing is clamped.

Take k of a prompt is paired with one of the same prompt's recordings of another take, the first after
k in a circle: every system meets the same recordings, and a control row made of those recordings is
never compared with itself unless there is one recording only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, clip_means, generated_rows, mean_measurement, rows
from arc_eval.metrics.known import BROKEN_OR_WRONG, question
from arc_eval.metrics.label_levels import EPSILON, levels
from arc_eval.metrics.units import unit_places
from arc_eval.records.measurement import Measurement

Choice = TypeVar("Choice")


def label_divergence(
    generated: Tensor,  # float[clip, class]
    reference: Tensor,  # float[clip, class]
) -> Tensor:
    """float64[clip], KL(softmax(generated) || softmax(reference) + 1e-6) in nats, from logits.

    At least -1e-6 times the number of classes.
    """
    log_ours = generated.double().log_softmax(1)
    theirs = reference.double().softmax(1)
    return (log_ours.exp() * (log_ours - (theirs + EPSILON).log())).sum(1)


def levels_without_listening(recorded: Rows, places: Sequence[int]) -> dict[str, dict[str, float]]:
    """Two levels for each recording at `places`: of other prompts' recordings, and of the mean labels.

    Recording id to divergence by name; a level that needs another prompt is absent if there is none. A
    recording with several captions stands there for each; it is no other recording to itself.
    """
    logits = recorded.values[list(places)]
    owners = [recorded.owners[place] for place in places]
    units = recorded.units
    of = unit_places([units[place] for place in places])
    if not len(of) or int(of.max()) < 1:
        return {}
    found = levels(logits, of, "generated_reference")
    return {name: dict(zip(owners, level.tolist(), strict=True)) for name, level in found.items()}


@dataclass(frozen=True)
class LabelKl:
    """Mean label divergence from the recordings of the same prompts: `kl[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"kl[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_OR_WRONG}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            question(
                "even odds against 9 to 1",
                self.name,
                math.log(0.5) - (math.log(0.9 + EPSILON) + math.log(0.1 + EPSILON)) / 2,
                self.extractor,
                [[0.0, 0.0]],
                paired=[[math.log(0.9), math.log(0.1)]],
            )
        ]

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to divergence, for clips whose prompt has a recording.

        Raises IncompleteError if no prompt has one.
        """
        generated = clip_means(generated_rows(evidence, self.extractor))
        recorded = self._recorded(evidence)
        recordings: dict[str, list[int]] = {}
        known = recorded.prompts
        for index in sorted(range(len(recorded)), key=lambda index: take_of(recorded.owners[index])):
            recordings.setdefault(known[index], []).append(index)
        ours = [index for index, prompt in enumerate(generated.prompts) if prompt in recordings]
        if not ours:
            raise IncompleteError(f"{self.name}: no generated clip's prompt has a recording to compare with")
        clips = [generated.owners[index] for index in ours]
        takes = [take_of(owner) for owner in recorded.owners]
        theirs = [
            partner(take_of(clip), recordings[clip.rsplit("#", 1)[0]], takes.__getitem__) for clip in clips
        ]
        divergence = label_divergence(generated.values[ours], recorded.values[theirs])
        return dict(zip(clips, divergence.tolist(), strict=True))

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """The mean in nats, lower is better, interval by bootstrap over prompts; and what it compares with.

        `kl_chance` is what real recordings of other prompts would score, `kl_constant` what a system that
        always says the recordings' mean labels would: on music the whole range may be small.
        """
        scores = self.scores(evidence)
        found = [mean_measurement(self.name, scores, "nat", "lower", evidence)]
        recorded = self._recorded(evidence)
        prompts = {clip.rsplit("#", 1)[0] for clip in scores}
        own = [index for index, prompt in enumerate(recorded.prompts) if prompt in prompts]
        for name, level in levels_without_listening(recorded, own).items():
            found.append(mean_measurement(f"{name}[{self.extractor}]", level, "nat", "none", evidence))
        return found

    def _recorded(self, evidence: Evidence) -> Rows:
        """One row for each recording of a prompt."""
        found = rows(evidence.paired, self.extractor, "recordings of the suite's prompts")
        return clip_means(replace(found, clusters=evidence.clusters))


class Settings(shared.Settings):
    """`{kind: label_kl, extractor: NAME}`; the extractor's rows must be logits of classes."""

    def build(self) -> LabelKl:
        """The metric of these settings."""
        return LabelKl(self.extractor)


def partner(own: int, choices: Sequence[Choice], take: Callable[[Choice], int]) -> Choice:
    """Of a prompt's recordings, in order of takes, the next after take `own`, which it is if it is alone."""
    others = [choice for choice in choices if take(choice) != own] or choices
    return next((choice for choice in others if take(choice) > own), others[0])


def take_of(clip: str) -> int:
    """The take of `prompt#take`; recordings named without one are take 0."""
    _, mark, take = clip.rpartition("#")
    return int(take) if mark and take.isdigit() else 0
