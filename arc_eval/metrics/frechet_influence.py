"""How far each row pulls a Fréchet distance: its derivative along the row, and a prompt's sum of that.

The distance is smooth in the mean m and covariance S of the generated rows; with R that of the
reference, its gradient is 2 (m - m_R) in m and I - T in S, where T = R^½ (R^½ S R^½)^-½ R^½ is the
optimal map from one Gaussian to the other. A row x therefore pulls it by
2 (m - m_R).(x - m) + (x - m)' (I - T) (x - m), less the mean of that over all rows.
Source: Hampel 1974 for influence; Takatsu 2011 for the geometry of Gaussians.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def row_influence(
    centred: Iterable[Tensor],  # float64[row, feature], in blocks
    shift: Tensor,  # float64[feature]
    deviation: Tensor,  # float64[any, feature]
    reference_deviation: Tensor,  # float64[any, feature]
) -> Tensor:
    """float64[row], the influence of each row of the set that the distance was taken of; their sum is 0.

    centred: rows less their mean; shift: their mean less the reference's; the gram matrices of the
    deviations are the covariances. Directions that the rows do not span are left out: no row of the
    set lies there.
    """
    _, overlap, right = torch.linalg.svd(deviation @ reference_deviation.T, full_matrices=False)
    rounding = overlap.max() * max(deviation.shape) * torch.finfo(overlap.dtype).eps
    spanned = overlap > rounding
    root = (right[spanned] @ reference_deviation) / overlap[spanned].sqrt().unsqueeze(1)  # root' root = T
    pull = torch.cat(
        [2 * rows @ shift + rows.square().sum(1) - (rows @ root.T).square().sum(1) for rows in centred]
    )
    centred_pull: Tensor = pull - pull.mean()
    return centred_pull
