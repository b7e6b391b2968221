"""Kernel distance: the unbiased squared maximum mean discrepancy, times 100.

Gaussian kernel exp(-d^2 / (2 b^2)); the bandwidth b is the median distance within the *reference*,
so every system is measured with one and the same kernel. Unbiased at any number of clips, hence
negative now and then when two sets are alike. Every row counts. Rows of one prompt are no
independent draws (takes, windows), so pairs within a prompt, or within a recording, are left out;
with one row for each prompt this is the usual estimator.
Source: Gretton et al. 2012, lemma 6; scale and bandwidth as arXiv 2502.15602.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import PromptGroups, Rows, measurement, sides
from arc_eval.records.measurement import Measurement

KernelFunction = Callable[[Tensor, Tensor], Tensor]
"""float64[row of a, row of b] of rows a and b, float64[row, feature]."""

SCALE = 100.0
_BLOCK = 512  # rows of the kernel matrix that exist at a time
_MEDIAN_ROWS = 4096  # rows, evenly spaced, that a large reference's bandwidth is taken from


def median_distance(
    rows: Tensor,  # float[row, feature]
) -> float:
    """Median Euclidean distance between two different rows.

    Raises IncompleteError if it is zero or there is one row: no kernel has that width.
    """
    chosen = torch.linspace(0, len(rows) - 1, min(len(rows), _MEDIAN_ROWS)).round().long()
    distances = torch.pdist(rows[chosen].double()).numpy()
    median = float(np.median(distances)) if len(distances) else 0.0
    if median <= 0:
        raise IncompleteError("most reference recordings have the same embedding: no kernel bandwidth")
    return median


@dataclass(frozen=True)
class Sums:
    """Sums of the kernel over pairs of rows of two groups, and the numbers of those pairs.

    total, pairs: float64[group, group].
    """

    total: Tensor
    pairs: Tensor

    def mean(self, left_out: int | None = None) -> float:
        """Mean kernel over all pairs, or over those without a group on either side."""
        keep = [group for group in range(len(self.total)) if group != left_out]
        pairs = float(self.pairs[keep][:, keep].sum())
        if pairs == 0:
            raise IncompleteError("no two rows of different prompts: nothing to compare")
        return float(self.total[keep][:, keep].sum()) / pairs


def within(rows: Rows, groups: PromptGroups, kernel: KernelFunction) -> Sums:
    """Kernel sums between rows of different prompts, by the groups of their prompts."""
    names = {prompt: index for index, prompt in enumerate(sorted(set(rows.prompts)))}
    prompt = torch.tensor([names[name] for name in rows.prompts])
    member = torch.nn.functional.one_hot(groups.of, len(groups)).double()
    total = member.new_zeros(len(groups), len(groups))
    pairs = torch.zeros_like(total)
    for block in torch.split(torch.arange(len(rows)), _BLOCK):
        allowed = (prompt[block, None] != prompt).double()
        likeness = kernel(rows.values[block], rows.values) * allowed
        total += member[block].T @ likeness @ member
        pairs += member[block].T @ allowed @ member
    return Sums(total, pairs)


def across(generated: Tensor, reference: Tensor, kernel: KernelFunction) -> Tensor:
    """float64[row of generated], the mean kernel to the reference rows."""
    return torch.cat([kernel(block, reference).mean(1) for block in torch.split(generated, _BLOCK)])


def gaussian(
    reference: Tensor,  # float64[row, feature]
) -> KernelFunction:
    """exp(-d^2 / (2 b^2)), b the median distance of the reference rows, which lie around the origin."""
    return gaussian_of(median_distance(reference))


def gaussian_of(bandwidth: float) -> KernelFunction:
    """exp(-d^2 / (2 bandwidth^2)), for rows that lie around the origin."""

    # By the matrix product, ten times faster than by differences: the kernel is smooth, so a rounding of
    # the squared distance by 1e-16 of the rows' size moves it by no more, and copies need not be at 0.
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        sizes = a.square().sum(1, keepdim=True) + b.square().sum(1)
        squared = torch.addmm(sizes, a, b.T, alpha=-2.0).clamp_(min=0)
        return squared.mul_(-1 / (2 * bandwidth**2)).exp_()

    return kernel


@dataclass(frozen=True)
class Kernel:
    """Kernel distance of the generated clips to the reference recordings: `kd[extractor]`.

    kernel: from the reference rows to the kernel that every system is measured with; `centred` moves
    the reference's mean to the origin first, which a kernel of distances does not notice.
    """

    extractor: str
    kernel: Callable[[Tensor], KernelFunction] = gaussian
    short: str = "kd"
    scale: float = SCALE
    centred: bool = True

    @property
    def name(self) -> str:
        return f"{self.short}[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, lower is better; interval by jackknife over groups of prompts."""
        both = sides(evidence, self.extractor, minimum=2)
        origin = both.reference.values.mean(0) * self.centred
        generated = replace(both.generated, values=both.generated.values - origin)
        reference = replace(both.reference, values=both.reference.values - origin)
        kernel = self.kernel(reference.values)
        groups = PromptGroups.deal(generated.prompts)
        ours = within(generated, groups, kernel)
        cross = across(generated.values, reference.values, kernel)
        theirs = within(reference, PromptGroups.deal(reference.prompts), kernel).mean()

        def distance(left_out: int | None = None) -> float:
            kept = cross if left_out is None else cross[groups.of != left_out]
            return self.scale * (ours.mean(left_out) + theirs - 2 * float(kept.mean()))

        value = distance()
        return [
            measurement(
                self.name,
                value,
                "",
                "lower",
                replace(evidence.counts, scored=generated.clips),
                lambda: groups.interval(value, lambda: list(map(distance, range(len(groups)))), _ANY),
            )
        ]


class Settings(shared.Settings):
    """`{kind: kernel, extractor: NAME}`."""

    def build(self) -> Kernel:
        """The metric of these settings."""
        return Kernel(self.extractor)


_ANY = (-math.inf, math.inf)
