"""The variational bottleneck: an encoder's output read as a Gaussian over latents. No parameters."""

from dataclasses import dataclass
from typing import Self

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian, float[clip, channel, frame] each."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, encoded: Tensor) -> Self:
        """Splits float[clip, 2 * channel, frame] into mean and scale; std = softplus(scale) + 1e-4."""
        mean, scale = encoded.chunk(2, dim=1)
        return cls(mean, F.softplus(scale) + 1e-4)

    def sample(self, noise: Tensor) -> Tensor:
        """mean + std * noise; the noise is passed in so that it can belong to one clip."""
        return self.mean + self.std * noise

    def divergence(self) -> Tensor:
        """Mean over clips and frames of twice the KL to the standard normal, summed over channels.

        The factor two is the official code's: its weight 1e-4 is meant for this number.
        """
        variance = self.std.square()
        return (self.mean.square() + variance - variance.log() - 1).sum(dim=1).mean()
