"""Recognition: the share of clips in which a tagger hears, above all else, a sound that the prompt names.

A clip counts as recognised if its highest-scoring class is among its prompt's tags, of which one is
enough. Prompts without a tag that the tagger knows are not scored. By chance: tags / classes.
"""

from dataclasses import dataclass

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError, suggest
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, mean_measurement, rows
from arc_eval.metrics.known import BROKEN_OR_WRONG, question
from arc_eval.records.measurement import Measurement
from arc_eval.stats import share_interval


@dataclass(frozen=True)
class Recognition:
    """Share of clips whose top class is one of the prompt's tags: `recognition[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"recognition[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_OR_WRONG}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            question(
                "one clip heard as what it is and one as something else",
                self.name,
                0.5,
                self.extractor,
                [[1.0, 0.0], [0.0, 1.0]],
                labels=("bell", "rain"),
                tags=("bell",),
            )
        ]

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to 1 (recognised) or 0, for clips whose prompt has a known tag.

        Raises IncompleteError if the classes have no names, or no prompt has a known tag.
        """
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        labels = evidence.labels.get(self.extractor, ())
        if len(labels) != described.values.shape[1]:
            raise IncompleteError(
                f"{self.name}: extractor {self.extractor!r} names {len(labels)} classes for "
                f"{described.values.shape[1]} columns; is it a tagger?"
            )
        heard = [labels[index] for index in described.values.argmax(1).tolist()]
        scores = {}
        for clip, prompt_id, sound in zip(described.owners, described.prompts, heard, strict=True):
            prompt = evidence.prompts.get(prompt_id)
            if prompt is not None and not set(labels).isdisjoint(prompt.tags):
                scores[clip] = float(sound in prompt.tags)
        if not scores:
            tags = {tag for prompt in evidence.prompts.values() for tag in prompt.tags}
            example = min(tags, default="")
            raise IncompleteError(
                f"{self.name}: no prompt has a tag among the tagger's classes"
                + (f"; {example!r}: {suggest(example, labels)}" if tags else "")
            )
        return scores

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement in 0..1, higher is better; interval over prompts."""
        scores = self.scores(evidence)
        return [mean_measurement(self.name, scores, "share", "higher", evidence, share_interval)]


class Settings(shared.Settings):
    """`{kind: recognition, extractor: NAME}`; the extractor's rows must be class scores with labels."""

    def build(self) -> Recognition:
        """The metric of these settings."""
        return Recognition(self.extractor)
