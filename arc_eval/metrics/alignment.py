"""Alignment: how near a clip lies to its own caption in the space of an audio-text encoder.

Cosine similarity in -1..1, mean over clips, no scaling: the CLAP score. Windows of a clip are averaged.
"""

from dataclasses import dataclass

from torch.nn.functional import cosine_similarity

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, mean_measurement, rows
from arc_eval.metrics.known import BROKEN_OR_WRONG, question
from arc_eval.records.measurement import Measurement


@dataclass(frozen=True)
class Alignment:
    """Mean cosine between clips and their captions: `clap[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"clap[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_OR_WRONG}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            question(
                "one clip at its caption and one at a right angle to it",
                self.name,
                0.5,
                self.extractor,
                [[2.0, 0.0], [0.0, 3.0]],
                text=[[1.0, 0.0], [1.0, 0.0]],
            )
        ]

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to cosine. Raises IncompleteError if a clip's caption was not embedded."""
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        captions = rows(evidence.text, self.extractor, "captions")
        place = {prompt: index for index, prompt in enumerate(captions.owners)}
        missing = sorted(set(described.prompts) - place.keys())
        if missing:
            raise IncompleteError(f"{self.name}: {len(missing)} captions are not embedded: {missing[0]}, ...")
        own = captions.values[[place[prompt] for prompt in described.prompts]]
        cosine = cosine_similarity(described.values, own, dim=1, eps=1e-8)
        return dict(zip(described.owners, cosine.tolist(), strict=True))

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, higher is better; interval by bootstrap over prompts."""
        return [mean_measurement(self.name, self.scores(evidence), "", "higher", evidence)]


class Settings(shared.Settings):
    """`{kind: alignment, extractor: NAME}`; the extractor must embed texts too."""

    def build(self) -> Alignment:
        """The metric of these settings."""
        return Alignment(self.extractor)
