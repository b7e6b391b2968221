"""A Gaussian known by mean and covariance alone: the reference of a Fréchet distance without its rows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval.records.summary import Moments


@dataclass(frozen=True)
class StatedGaussian:
    """mean: float64[feature]; deviation: float64[any, feature], whose gram matrix is the covariance."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def around_zero(cls, moments: Moments) -> "StatedGaussian":
        """Of the covariance; the mean is the origin, as where rows are moved before they are fitted."""
        values, vectors = torch.linalg.eigh(moments.covariance)
        # A covariance is known to rounding of its largest variance. What is below that is no direction of
        # the rows, though its root would be far from nothing; and rows have rows - 1 directions at most.
        kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
        if moments.rows:
            kept[: max(len(values) - (moments.rows - 1), 0)] = False
        deviation = values[kept].sqrt().unsqueeze(1) * vectors.T[kept]
        return cls(torch.zeros_like(moments.mean), deviation.contiguous())
