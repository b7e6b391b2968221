"""Kernel distance: the unbiased squared maximum mean discrepancy, times 100.

Gaussian kernel exp(-d^2 / (2 b^2)); the bandwidth b is the median distance within the *reference*,
so every system is measured with one and the same kernel. Unbiased at any number of clips, hence
negative now and then when two sets are alike. Every row counts. Rows of one prompt are no
independent draws (takes, windows), so pairs within a prompt, or of prompts of one recording, are left out;
with one row for each prompt this is the usual estimator.
Source: Gretton et al. 2012, lemma 6; scale and bandwidth as arXiv 2502.15602.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.influence import jackknife_influence
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import Rows, set_measurement, sides
from arc_eval.metrics.known import BROKEN_SOUNDS
from arc_eval.metrics.units import by_unit_sum, unit_places
from arc_eval.records.measurement import Measurement
from arc_eval.stats import require_prompts

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
    """Sums of the kernel over pairs of a prompt's rows and all others', and the numbers of those pairs.

    total, pairs: float64[prompt], prompts in order of their ids.
    """

    total: Tensor
    pairs: Tensor

    @property
    def mean(self) -> float:
        """Mean kernel over all pairs. Raises IncompleteError if there are none."""
        pairs = float(self.pairs.sum())
        if pairs == 0:
            raise IncompleteError("no two rows of different prompts: nothing to compare")
        return float(self.total.sum()) / pairs


def within(rows: Rows, bandwidth: float) -> Sums:
    """Kernel sums between rows of different prompts."""
    prompt = unit_places(rows.units)
    total = torch.zeros(int(prompt.max()) + 1, dtype=torch.float64)
    pairs = torch.zeros_like(total)
    for block in torch.split(torch.arange(len(rows)), _BLOCK):
        allowed = (prompt[block, None] != prompt).double()
        kernel = _kernel(rows.values[block], rows.values, bandwidth) * allowed
        total.index_add_(0, prompt[block], kernel.sum(1))
        pairs.index_add_(0, prompt[block], allowed.sum(1))
    return Sums(total, pairs)


def across(generated: Tensor, reference: Tensor, bandwidth: float) -> Tensor:
    """float64[row of generated], the mean kernel to the reference rows."""
    return torch.cat(
        [_kernel(block, reference, bandwidth).mean(1) for block in torch.split(generated, _BLOCK)]
    )


@dataclass(frozen=True)
class Kernel:
    """Kernel distance of the generated clips to the reference recordings: `kd[extractor]`."""

    extractor: str

    @property
    def name(self) -> str:
        return f"kd[{self.extractor}]"

    @property
    def ranks(self) -> dict[str, frozenset[str]]:
        """See `contracts.Ranking`."""
        return {self.name: BROKEN_SOUNDS}

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement, lower is better; interval by leaving out each prompt, the reference held fixed."""
        both = sides(evidence, self.extractor, minimum=2)
        generated, reference = both.generated, both.reference
        bandwidth = median_distance(reference.values)
        ours, theirs = within(generated, bandwidth), within(reference, bandwidth)
        cross = across(generated.values, reference.values, bandwidth)
        value = SCALE * (ours.mean + theirs.mean - 2 * float(cross.mean()))
        counts = replace(evidence.counts, scored=generated.clips)

        def influence() -> dict[str, float]:
            prompts = sorted(set(generated.units))
            require_prompts(len(prompts))
            # A pair has a prompt at both ends, so without a prompt twice its pairs are gone.
            own = (ours.total.sum() - 2 * ours.total) / (ours.pairs.sum() - 2 * ours.pairs)
            sums, sizes = by_unit_sum(cross, generated), by_unit_sum(torch.ones_like(cross), generated)
            other = (sums.sum() - sums) / (sizes.sum() - sizes)
            left_out = SCALE * (own + theirs.mean - 2 * other)
            return jackknife_influence(value, left_out.tolist(), dict.fromkeys(prompts, 1))

        return [set_measurement(self.name, influence, value, "lower", counts, (-math.inf, math.inf))]


class Settings(shared.Settings):
    """`{kind: kernel, extractor: NAME}`."""

    def build(self) -> Kernel:
        """The metric of these settings."""
        return Kernel(self.extractor)


def _kernel(a: Tensor, b: Tensor, bandwidth: float) -> Tensor:
    """float64[row of a, row of b]."""
    return torch.exp(-shared.distances(a, b).square() / (2 * bandwidth**2))
