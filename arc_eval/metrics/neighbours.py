"""Nearest neighbours, exact: decided by fast products where these are certain, by differences where not.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b is one matrix product, ten times and more faster than the sum of
squared differences, but it rounds by the size of the rows and by the shape of the block: a
neighbour could lie strictly inside the ball that it defines. The rounding has a bound. Only pairs within
it of a boundary (copies, ties, the neighbour on the ball itself) are measured by their
differences, which give the same bits whatever the block. Rows come in blocks, so memory grows with one
set's rows, never with the product of two.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval.metrics.evidence import distances

_ELEMENTS = 2**22  # numbers of a distance matrix that exist at a time: 32 MB, and a few times that in work
_SPARE = 16  # candidates beyond those asked for, among which ties and rows left out are settled


@dataclass(frozen=True)
class Squares:
    """Squared distances of a block of rows to all of another set, each known to within `wrong`.

    value, wrong: float64[row, other]; rows, others: what they are distances of, float64[any, feature].
    """

    value: Tensor
    wrong: Tensor
    rows: Tensor
    others: Tensor

    @classmethod
    def of(cls, rows: Tensor, others: Tensor) -> "Squares":
        """rows: float64[row, feature]; others: float64[other, feature]."""
        sizes = rows.square().sum(1, keepdim=True) + others.square().sum(1)
        value = torch.addmm(sizes, rows, others.T, alpha=-2.0)
        # A dot product of f terms errs by at most f eps |a| |b|; the sums and the comparison by less.
        bound = 4 * (rows.shape[1] + 8) * torch.finfo(torch.float64).eps
        return cls(value, sizes.mul_(bound), rows, others)

    def closer(self, radius: Tensor) -> Tensor:
        """bool[row, other], whether the distance is strictly below `radius`, float64 broadcast to that."""
        square = radius.square().expand_as(self.value)
        inside = self.value < square
        # The radius' own square rounds too, relative to itself: hence the sliver beside the bound.
        unsure = (self.value - square).abs_() <= self.wrong + 1e-15 * square
        row, other = unsure.nonzero(as_tuple=True)
        if 8 * len(row) > unsure.numel():
            return distances(self.rows, self.others) < radius
        if len(row):
            near = pair_distances(self.rows, self.others, row, other)
            inside[row, other] = near < radius.expand_as(self.value)[row, other]
        return inside


def blocks(rows: Tensor, others: int) -> Iterator[slice]:
    """Slices of `rows`, float64[row, feature], so that each with `others` columns fits into memory."""
    step = max(1, _ELEMENTS // max(1, others))
    return (slice(start, min(start + step, len(rows))) for start in range(0, len(rows), step))


def pair_distances(
    a: Tensor,  # float64[row of a, feature]
    b: Tensor,  # float64[row of b, feature]
    first: Tensor,  # int64[pair]
    second: Tensor,  # int64[pair]
) -> Tensor:
    """float64[pair], Euclidean distance of row `first` of a to row `second` of b, from differences."""
    step = max(1, _ELEMENTS // max(1, a.shape[1]))
    pieces = zip(torch.split(first, step), torch.split(second, step), strict=True)
    return torch.cat([distances(a[i].unsqueeze(1), b[j].unsqueeze(1)).flatten() for i, j in pieces])


def kth_nearest(
    rows: Tensor,  # float64[row, feature]
    k: int,
    kept: Tensor,  # bool[variant, row]
) -> Tensor:
    """float64[variant, row], the distance of each row to the k-th nearest *other* row that is kept.

    Zero for a row that is not kept itself. Every variant must keep more than k rows.
    """
    found = [_kth_of_block(rows, block, k, kept) for block in blocks(rows, len(rows))]
    return torch.cat(found, 1).masked_fill(~kept, 0.0)


def _kth_of_block(rows: Tensor, block: slice, k: int, kept: Tensor) -> Tensor:
    own = rows[block]
    squares = Squares.of(own, rows)
    count = min(len(rows), 2 * k + _SPARE)
    near = squares.value.topk(count, dim=1, largest=False)
    exact = distances(own.unsqueeze(1), rows[near.indices]).squeeze(1)
    # The row itself is the nearest, at distance zero: hence k + 1.
    found = torch.stack([_smallest(exact, keep[near.indices], k + 1) for keep in kept])
    if count == len(rows):
        return found
    # Whatever is no candidate lies beyond the last of them, give or take the error on either side.
    beyond = (near.values[:, -1] - 2 * squares.wrong.amax(1)).clamp(min=0).sqrt()
    unsure = (found >= beyond) & kept[:, block]
    again = unsure.any(0).nonzero().flatten()
    if len(again):
        whole = distances(own[again], rows)
        for variant, keep in enumerate(kept):
            chosen = unsure[variant, again]
            found[variant, again[chosen]] = _smallest(whole[chosen], keep, k + 1)
    return found


def _smallest(values: Tensor, keep: Tensor, k: int) -> Tensor:
    """float64[row], the k-th smallest of the kept values of each row."""
    return values.masked_fill(~keep, torch.inf).kthvalue(k, dim=1).values
