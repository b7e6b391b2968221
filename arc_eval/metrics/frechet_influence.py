"""How far each row pulls a Fréchet distance: its derivative along the row, and a prompt's sum of that.

The distance is smooth in the mean m and covariance S of the generated rows; with R that of the
reference, its gradient is 2 (m - m_R) in m and I - T in S, where T = R^½ (R^½ S R^½)^-½ R^½ is the
optimal map from one Gaussian to the other. A row x therefore pulls it by
2 (m - m_R).(x - m) + (x - m)' (I - T) (x - m), less the mean of that over all rows.
Source: Hampel 1974 for influence; Takatsu 2011 for the geometry of Gaussians.
"""

import torch
from torch import Tensor

from arc_eval.metrics.evidence import for_each_row


def row_influence(
    rows: Tensor,  # float[row, feature]
    centre: Tensor,  # float64[feature]
    shift: Tensor,  # float64[feature]
    deviation: Tensor,  # float64[any, feature]
    reference_deviation: Tensor,  # float64[any, feature]
) -> Tensor:
    """float64[row], the influence of each row of the set that the distance was taken of; their sum is 0.

    centre: mean of the rows; shift: that less the reference's mean; the gram matrices of the deviations are
    the covariances. Directions that the rows do not span are left out: no row of the set lies there.
    """
    _, overlap, right = torch.linalg.svd(deviation @ reference_deviation.T, full_matrices=False)
    rounding = overlap.max() * max(deviation.shape) * torch.finfo(overlap.dtype).eps
    spanned = overlap > rounding
    root = (right[spanned] @ reference_deviation) / overlap[spanned].sqrt().unsqueeze(1)  # root' root = T

    def pulled(block: Tensor) -> Tensor:
        centred = block.double() - centre
        out: Tensor = 2 * centred @ shift + centred.square().sum(1) - (centred @ root.T).square().sum(1)
        return out

    pull = for_each_row(pulled, rows, torch.float64)
    return pull.sub_(pull.mean())
