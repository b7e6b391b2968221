"""Vendi score: the effective number of different clips, from 1 (copies) to their number (orthogonal).

The exponential of the entropy of the spectrum of the cosine similarities between clips, each divided by
their number. The entropy is Shannon's at order 1; higher orders heed common kinds of clips more,
`inf` only the commonest. One row for each clip (windows are averaged). It grows with the number of
clips, so it compares at equal numbers alone, and noise is diverse too: read it beside an alignment.
Source: Friedman and Dieng 2023; orders Pasarkar and Dieng 2024.
"""

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import PromptGroups, Rows, clip_means, measurement, rows
from arc_eval.records.measurement import Measurement
from arc_eval.stats import mean_interval

Order = Annotated[float, Field(gt=0)] | Literal["inf"]


def vendi_score(
    clips: Tensor,  # float64[clip, feature]
    order: Order = 1.0,
) -> float:
    """Effective number of different rows. Raises IncompleteError for no rows, or one that is all zero."""
    if len(clips) == 0 or not bool(clips.any(1).all()):
        raise IncompleteError("the Vendi score needs clips whose embeddings are not zero")
    units = torch.nn.functional.normalize(clips, dim=1, eps=0.0)
    # The smaller of the two gram matrices: both have the same spectrum besides zeros.
    gram = units @ units.T if len(units) <= units.shape[1] else units.T @ units
    shares = torch.linalg.eigvalsh(gram / len(units))
    # What rounding leaves in place of zeros is no kind of clip; orders below 1 would count it.
    shares = shares[shares > len(gram) * torch.finfo(torch.float64).eps * shares.max()]
    if order == "inf":
        return 1 / float(shares.max())
    if order == 1:
        return math.exp(float(torch.special.entr(shares).sum()))
    return float(shares.pow(order).sum()) ** (1 / (1 - order))


def takes_of(described: Rows) -> dict[str, Tensor]:
    """Prompt to its clips, float64[take, feature], for the prompts with the most takes.

    The score grows with the number of clips: a prompt that lost one would seem less diverse.
    """
    members: dict[str, list[int]] = {}
    for index, prompt in enumerate(described.prompts):
        members.setdefault(prompt, []).append(index)
    most = max(map(len, members.values()))
    return {prompt: described.values[own] for prompt, own in members.items() if len(own) == most}


@dataclass(frozen=True)
class Vendi:
    """`vendi[extractor]` of all clips; `vendi_takes[...]` of each prompt's takes, mean over prompts."""

    extractor: str
    order: Order
    among: Literal["clips", "takes"]

    @property
    def name(self) -> str:
        order = "" if self.order == 1 else f"_q{self.order if self.order == 'inf' else f'{self.order:g}'}"
        return f"vendi{'_takes' if self.among == 'takes' else ''}{order}[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, higher is better; jackknife over groups of prompts, or bootstrap over prompts.

        Raises IncompleteError for fewer than 2 clips, or 2 takes of a prompt.
        """
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        return [(self._of_takes if self.among == "takes" else self._of_clips)(described, evidence)]

    def _of_clips(self, described: Rows, evidence: Evidence) -> Measurement:
        if len(described) < 2:
            raise IncompleteError(f"{self.name}: needs at least 2 clips; there is 1")
        groups = PromptGroups.deal(described.prompts)
        value = vendi_score(described.values, self.order)

        def left_out() -> list[float]:
            return [vendi_score(described.values[groups.of != g], self.order) for g in range(len(groups))]

        counts = replace(evidence.counts, scored=len(described))
        bounds = (1.0, float(len(described)))
        return measurement(
            self.name, value, "", "higher", counts, lambda: groups.interval(value, left_out, bounds)
        )

    def _of_takes(self, described: Rows, evidence: Evidence) -> Measurement:
        takes = takes_of(described)
        if (number := len(next(iter(takes.values())))) < 2:
            raise IncompleteError(f"{self.name}: there is one clip for each prompt; set `takes` to 2 or more")
        scores = {prompt: [vendi_score(own, self.order)] for prompt, own in takes.items()}
        value = fmean(score for [score] in scores.values())
        counts = replace(evidence.counts, scored=number * len(takes))
        return measurement(self.name, value, "", "higher", counts, lambda: mean_interval(scores))


class Settings(shared.Settings):
    """`{kind: vendi, extractor: NAME, order: 1, among: clips}`; among: clips, or takes of each prompt."""

    order: Order = 1.0
    among: Literal["clips", "takes"] = "clips"

    def build(self) -> Vendi:
        """The metric of these settings."""
        return Vendi(self.extractor, self.order, self.among)
