"""Label divergence: KL(generated || reference) between what a tagger hears in a clip and in a recording.

Rows are logits. Windows of a clip are averaged as logits, then softmax; the sum over classes is in
nats, with 1e-6 added to the reference alone. So a clip and its own copy give not 0 but slightly
less, and nothing is clamped. The other direction, `kl_reverse`, is KL(reference || generated) with
1e-6 added to the generated alone, as other tools have it: another number under another name.

Beside it stand what the same clips score against the recordings of all other prompts
(`kl_chance`), and what a system would score that answers every prompt with the recordings' mean label
distribution (`kl_constant`). A system above the latter says less than no system at all.

Take k of a prompt is paired with one of the same prompt's recordings of another take, the first after
k in a circle: every system meets the same recordings, and a control row made of those recordings is
never compared with itself unless there is one recording only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, mean_measurement, rows
from arc_eval.metrics.label_levels import EPSILON, chance_level, constant_level
from arc_eval.records.measurement import Measurement

Points = Literal["generated||reference", "reference||generated"]
_NAMES: dict[Points, str] = {"generated||reference": "kl", "reference||generated": "kl_reverse"}


def label_divergence(
    generated: Tensor,  # float[clip, class]
    reference: Tensor,  # float[clip, class]
) -> Tensor:
    """float64[clip], KL(softmax(generated) || softmax(reference) + 1e-6) in nats, from logits.

    At least -1e-6 times the number of classes. Exchange the arguments for the other direction.
    """
    log_ours = generated.double().log_softmax(1)
    theirs = reference.double().softmax(1)
    return (log_ours.exp() * (log_ours - (theirs + EPSILON).log())).sum(1)


@dataclass(frozen=True)
class Pairs:
    """Clips and, for each, the recording of its prompt: logits float64[clip, class] on both sides."""

    clips: tuple[str, ...]
    prompts: tuple[str, ...]
    generated: Tensor
    reference: Tensor


@dataclass(frozen=True)
class LabelKl:
    """Mean label divergence from the recordings of the same prompts: `kl[extractor]`, `kl_reverse[...]`."""

    extractor: str
    points: Points = "generated||reference"

    @property
    def name(self) -> str:
        return f"{_NAMES[self.points]}[{self.extractor}]"

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to divergence, for clips whose prompt has a recording.

        Raises IncompleteError if no prompt has one.
        """
        return self._own(self._pairs(evidence))

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """Divergence (nat, lower is better), chance and constant level; intervals by bootstrap over prompts.

        With a single prompt there is no other to take chance from: that level is absent.
        """
        pairs = self._pairs(evidence)
        reverse = self.points == "reference||generated"
        levels = {"constant": constant_level(pairs.generated, pairs.reference, reverse=reverse)}
        if len(set(pairs.prompts)) > 1:
            chance = chance_level(pairs.generated, pairs.reference, pairs.prompts, reverse=reverse)
            levels = {"chance": chance, **levels}
        name = _NAMES[self.points]
        return [
            mean_measurement(self.name, self._own(pairs), "nat", "lower", evidence.counts),
            *(
                mean_measurement(
                    f"{name}_{level}[{self.extractor}]",
                    dict(zip(pairs.clips, values.tolist(), strict=True)),
                    "nat",
                    "none",
                    evidence.counts,
                )
                for level, values in levels.items()
            ),
        ]

    def _own(self, pairs: Pairs) -> dict[str, float]:
        sides = (pairs.generated, pairs.reference)
        found = label_divergence(*(sides if self.points == "generated||reference" else sides[::-1]))
        return dict(zip(pairs.clips, found.tolist(), strict=True))

    def _pairs(self, evidence: Evidence) -> Pairs:
        generated = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        recorded = clip_means(rows(evidence.paired, self.extractor, "recordings of the suite's prompts"))
        recordings: dict[str, list[int]] = {}
        for index in sorted(range(len(recorded)), key=lambda index: _take(recorded.owners[index])):
            recordings.setdefault(recorded.prompts[index], []).append(index)
        ours = [index for index, prompt in enumerate(generated.prompts) if prompt in recordings]
        if not ours:
            raise IncompleteError(f"{self.name}: no generated clip's prompt has a recording to compare with")
        clips = tuple(generated.owners[index] for index in ours)
        prompts = tuple(clip.rsplit("#", 1)[0] for clip in clips)
        takes = [_take(owner) for owner in recorded.owners]
        theirs = [
            _partner(_take(clip), recordings[prompt], takes)
            for clip, prompt in zip(clips, prompts, strict=True)
        ]
        return Pairs(clips, prompts, generated.values[ours], recorded.values[theirs])


class Settings(shared.Settings):
    """`{kind: label_kl, extractor: NAME, direction: "generated||reference"}`.

    The extractor's rows must be logits of classes. direction: "reference||generated" for `kl_reverse`.
    """

    direction: Points = "generated||reference"

    @model_serializer(mode="wrap")
    def _without_the_usual(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The name of the result says the direction; unwritten, Runs from before the choice compare.
        data: dict[str, Any] = plain(self)
        return {k: v for k, v in data.items() if (k, v) != ("direction", "generated||reference")}

    def build(self) -> LabelKl:
        """The metric of these settings."""
        return LabelKl(self.extractor, self.direction)


def _partner(own: int, choices: Sequence[int], takes: Sequence[int]) -> int:
    """Of a prompt's recordings, in order of takes, the next after take `own`, which it is if it is alone."""
    others = [choice for choice in choices if takes[choice] != own] or choices
    return next((choice for choice in others if takes[choice] > own), others[0])


def _take(clip: str) -> int:
    """The take of `prompt#take`; recordings named without one are take 0."""
    _, mark, take = clip.rpartition("#")
    return int(take) if mark and take.isdigit() else 0
