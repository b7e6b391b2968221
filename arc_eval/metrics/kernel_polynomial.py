"""Kernel distance under the cubic kernel (a.b / features + 1)^3: what images call KID. Not scaled.

The same unbiased estimator as `kernel` and no bandwidth to choose; but the kernel knows an origin, so the
rows are taken as the extractor gives them. Of all rows at once, where the original averages subsets.
Source: Binkowski et al. 2018.
"""

from torch import Tensor

from arc_eval.metrics import evidence as shared
from arc_eval.metrics.kernel import Kernel, KernelFunction


def cubic(
    reference: Tensor,  # float64[row, feature]
) -> KernelFunction:
    """(a.b / features + 1)^3 for rows with as many features as the reference's."""
    features = reference.shape[1]
    return lambda a, b: (a @ b.T).div_(features).add_(1).pow_(3)


class Settings(shared.Settings):
    """`{kind: kernel_polynomial, extractor: NAME}`; the result is `kid[extractor]`."""

    def build(self) -> Kernel:
        """The metric of these settings."""
        return Kernel(self.extractor, cubic, short="kid", scale=1.0, centred=False)
