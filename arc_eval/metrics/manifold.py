"""Precision, recall, density and coverage: how two sets of clips lie in each other's neighbourhoods.

The ball of a clip reaches to its k-th nearest neighbour in its own set; inside means strictly
nearer. One row for each clip (windows are averaged). Identical reference rows count once, for a
duplicate has a ball of radius zero. All but density depend on the two numbers of clips.
Source: Naeem et al. 2020 (density, coverage), Kynkäänniemi et al. 2019 (precision, recall).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from pydantic import PositiveInt
from torch import Tensor

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.influence import mean_influence
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, measurement, set_measurement, sides
from arc_eval.metrics.groups import PromptGroups
from arc_eval.metrics.known import BROKEN_SOUNDS, question
from arc_eval.metrics.neighbours import Squares, blocks, kth_nearest
from arc_eval.records.measurement import Interval, Measurement
from arc_eval.stats import Groups, by_prompt, mean_interval, share_interval


@dataclass(frozen=True)
class Neighbourhoods:
    """How the kept generated rows lie in the reference and it in them.

    balls: long[row], how many reference balls hold each generated row; recall, coverage: share of
    the reference rows that lie in a generated ball, and whose ball holds a generated row.
    """

    balls: Tensor
    k: int
    recall: float
    coverage: float

    @property
    def precision(self) -> float:
        """Share of generated rows that lie in a reference ball."""
        return float((self.balls > 0).double().mean())

    @property
    def density(self) -> float:
        """Mean number of reference balls that hold a generated row, over k: 1 on average for like sets."""
        return float(self.balls.double().mean()) / self.k


def radii(
    rows: Tensor,  # float64[row, feature]
    k: int,
    kept: Tensor | None = None,  # bool[variant, row]
) -> Tensor:
    """float64[variant, row], the distance of each row to the k-th nearest other row that is kept.

    One variant with all rows unless told; zero for a row that is not kept itself. Raises
    IncompleteError if a variant keeps k rows or fewer.
    """
    kept = torch.ones(1, len(rows), dtype=torch.bool) if kept is None else kept
    if (fewest := int(kept.sum(1).min())) <= k:
        raise IncompleteError(f"{k} neighbours need more than {k} different clips; there are {fewest}")
    return kth_nearest(rows, k, kept)


def neighbourhoods(
    generated: Tensor,  # float64[row, feature]
    reference: Tensor,  # float64[row, feature]
    k: int = 5,
    kept: Tensor | None = None,  # bool[variant, row of generated]
) -> list[Neighbourhoods]:
    """Where all generated rows lie, or for each variant of those kept.

    Raises IncompleteError if a variant, or the reference, has k rows or fewer.
    """
    kept = torch.ones(1, len(generated), dtype=torch.bool) if kept is None else kept
    own_radii, real_radii = radii(generated, k, kept), radii(reference, k)[0]
    balls = torch.zeros(len(generated), dtype=torch.long)
    covered, recalled = torch.zeros(len(kept)), torch.zeros(len(kept))
    for block in blocks(reference, len(generated)):
        squares = Squares.of(reference[block], generated)
        inside = squares.closer(real_radii[block].unsqueeze(1))
        balls += inside.sum(0)
        covered += (inside.float() @ kept.float().T > 0).sum(0)
        recalled += torch.stack([squares.closer(own).any(1).sum() for own in own_radii])
    return [
        Neighbourhoods(balls[keep], k, float(found) / len(reference), float(holding) / len(reference))
        for keep, found, holding in zip(kept, recalled, covered, strict=True)
    ]


@dataclass(frozen=True)
class Manifold:
    """`precision[extractor]`, `recall[...]`, `density[...]` and `coverage[...]`."""

    extractor: str
    k: int

    @property
    def name(self) -> str:
        return f"manifold[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`. Among few recordings the balls are wide and hold silence, too."""
        return {f"{share}[{self.extractor}]": BROKEN_SOUNDS for share in ("recall", "coverage")}

    def known_answers(self) -> list[KnownAnswer]:
        """See `contracts.SelfChecking`."""
        return [
            question(
                "a set of which half lies where the reference lies",
                f"precision[{self.extractor}]",
                0.5,
                self.extractor,
                [[float(n)] for n in range(2 * self.k)] + [[1e4 + n] for n in range(2 * self.k)],
                reference=[[float(n)] for n in range(2 * self.k)],
            )
        ]

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """Four Measurements, higher is better; intervals over prompts, the reference held fixed.

        Precision and density are means over clips. Recall and coverage are not: theirs is a jackknife.
        """
        both = sides(evidence, self.extractor, minimum=self.k + 1)
        generated = clip_means(both.generated)
        reference = torch.unique(clip_means(both.reference).values, dim=0)
        whole = neighbourhoods(generated.values, reference, self.k)[0]
        groups = PromptGroups.deal(generated.units)
        counts = replace(evidence.counts, scored=len(generated))

        @cache  # one pass serves both jackknives
        def without_each() -> list[Neighbourhoods]:
            kept = groups.of != torch.arange(len(groups)).unsqueeze(1)
            return neighbourhoods(generated.values, reference, self.k, kept)

        def of_clips(scores: Tensor) -> dict[str, list[float]]:
            return by_prompt(dict(zip(generated.owners, scores.tolist(), strict=True)), evidence.clusters)

        def mean(share: str, scores: Tensor, interval: Callable[[Groups], Interval]) -> Measurement:
            of_prompts, name = of_clips(scores), f"{share}[{self.extractor}]"
            value, pulls = float(scores.mean()), mean_influence(of_prompts)
            return measurement(name, value, "", "higher", counts, lambda: interval(of_prompts), pulls)

        def jackknife(share: Callable[[Neighbourhoods], float], name: str) -> Measurement:
            value, sized = share(whole), replace(counts, rows=counts.scored)

            def influence() -> dict[str, float]:
                return groups.influence(value, lambda: list(map(share, without_each())))

            return set_measurement(f"{name}[{self.extractor}]", influence, value, "higher", sized, (0.0, 1.0))

        return [
            mean("precision", (whole.balls > 0).double(), share_interval),
            jackknife(lambda at: at.recall, "recall"),
            mean("density", whole.balls.double() / self.k, mean_interval),
            jackknife(lambda at: at.coverage, "coverage"),
        ]


class Settings(shared.Settings):
    """`{kind: manifold, extractor: NAME, k: 5}`; k: which neighbour a ball reaches to."""

    k: PositiveInt = 5

    def build(self) -> Manifold:
        """The metric of these settings."""
        return Manifold(self.extractor, self.k)
