"""Conditional diversity: how far apart the clips of one prompt lie, mean over prompts (CCDS).

The score of a prompt is the mean cosine distance (1 - cosine) over pairs of its clips: 0 for copies,
1 for unrelated directions. Its expectation does not depend on the number of takes; at least 2 are
needed and 5 advised. Noise is diverse too: read it beside an alignment score, never alone.
Source: the conditional diversity score of arXiv 2505.08175; the definition per prompt is ours.
"""

from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.influence import mean_influence
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, clip_means, measurement, rows, set_measurement
from arc_eval.metrics.known import question
from arc_eval.records.measurement import Measurement
from arc_eval.stats import by_prompt, mean_interval


def distances_to_the_others(
    clips: Tensor,  # float64[clip, feature]
) -> Tensor:
    """float64[clip], mean cosine distance of each clip to all others; two clips at least."""
    units = torch.nn.functional.normalize(clips, dim=1)
    # Through the differences, |u - v|^2 / 2 = 1 - u.v, so that copies are at a distance of exactly 0.
    return shared.distances(units, units).square().sum(1) / (2 * (len(clips) - 1))


def distances_between_prompts(clips: Rows) -> dict[str, float]:
    """Prompt to the mean cosine distance of its clips to those of the others, every prompt alike."""
    units = torch.nn.functional.normalize(clips.values, dim=1)
    means = clip_means(Rows(units, clips.prompts))
    total, count = means.values.sum(0), len(means)
    towards = ((total - means.values) * means.values).sum(1) / max(count - 1, 1)
    return dict(zip(means.owners, (1 - towards).tolist(), strict=True))


@dataclass(frozen=True)
class Diversity:
    """Mean cosine distance between clips of a prompt, `ccds[extractor]`, and of all, `ccds_between[...]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"ccds[{self.extractor}]"

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            question(
                "two clips of one prompt at a right angle",
                self.name,
                1.0,
                self.extractor,
                [[1.0, 0.0], [0.0, 1.0]],
                takes=2,
            )
        ]

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """Clip id to its mean distance to the prompt's other clips; their mean is the prompt's score.

        Prompts with one clip are absent. Raises IncompleteError if there are no others.
        """
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        members: dict[str, list[int]] = {}
        for index, prompt in enumerate(described.prompts):
            members.setdefault(prompt, []).append(index)
        scores = {
            described.owners[index]: distance
            for indices in members.values()
            if len(indices) > 1
            for index, distance in zip(
                indices, distances_to_the_others(described.values[indices]).tolist(), strict=True
            )
        }
        if not scores:
            raise IncompleteError(
                f"{self.name}: there is one clip for each prompt, and 2 are needed; set `takes` to 2 or more "
                "(5 advised), or, for recordings, name a source with several of each prompt"
            )
        return scores

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """`ccds[...]`, higher is better, every prompt with the same weight; bootstrap over prompts.

        Beside it, from two prompts on, `ccds_between[...]`: the same distance between clips of different
        prompts, as the scale. Takes as unlike each other as that ignore their prompt.
        """
        scores = self.scores(evidence)
        prompts = {prompt: fmean(own) for prompt, own in by_prompt(scores).items()}
        units, value = by_prompt(prompts, evidence.clusters), fmean(prompts.values())
        counts = replace(evidence.counts, scored=len(scores))
        own = measurement(self.name, value, "", "higher", counts, lambda: mean_interval(units))
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        apart = distances_between_prompts(described)
        if len(apart) < 2:
            return [own]
        between, counts = fmean(apart.values()), replace(counts, scored=described.clips)

        def influence() -> dict[str, float]:
            # Each distance has a prompt at both ends: leaving one out tells twice.
            pulled = {prompt: 2 * distance - between for prompt, distance in apart.items()}
            return mean_influence(by_prompt(pulled, evidence.clusters))

        name = f"ccds_between[{self.extractor}]"
        return [own, set_measurement(name, influence, between, "none", counts, (0.0, 2.0))]


class Settings(shared.Settings):
    """`{kind: diversity, extractor: NAME}`."""

    def build(self) -> Diversity:
        """The metric of these settings."""
        return Diversity(self.extractor)
