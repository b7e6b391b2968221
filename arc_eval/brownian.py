"""Brownian paths that belong to one clip: the same whatever the steps, their order or the batch.

A stochastic sampler adds noise between two noise levels. Taken as the increment of one fixed path, it is
the same path that 10 steps and 100 steps follow, and it can be asked for at any level in any order.

Time passes as ln(sigma_max / sigma): in it the reverse diffusion has constant strength relative to
sigma, so evenly spaced levels of the official schedule get even shares of the path. (k-diffusion's
clock is sigma itself; its noise is another draw from the same distribution.)

The path is built top down (Lévy's construction): its value at the end, then at the middle, then at the
middles of the halves, each drawn from the Brownian bridge between the two values that enclose it. A
number is decided by the clip's seed and its place on the clock alone.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from arc_eval.seeding import hashed_seed

TICKS = 2**30
"""Readings of the clock: fine beside float32, coarse beside the rounding of a schedule's logarithms."""

LEAF = TICKS // 2**14
"""Ticks between the deepest nodes; a reading between two is bridged from them and from nothing nearer."""

NODES = 32
"""Values kept at a time: about twice the depth, so that neighbouring readings share the way down."""

SLACK = 1e-6
"""How far a level may lie beyond the ends, relatively: the rounding of a float32 schedule."""


class BrownianTree:
    """One Brownian path for each clip, from sigma_max (time 0) down to sigma_min (time 1)."""

    def __init__(
        self, seeds: Sequence[int], shape: Sequence[int], sigma_min: float, sigma_max: float
    ) -> None:
        """One seed for each clip, whose increments have `shape`.

        Raises ValueError unless 0 < sigma_min < sigma_max.
        """
        if not 0 < sigma_min < sigma_max < math.inf:
            raise ValueError(f"a path needs 0 < sigma_min < sigma_max, not {sigma_min} and {sigma_max}")
        self.sigma_min, self.sigma_max = sigma_min, sigma_max
        self._paths = [_Path(seed, tuple(shape)) for seed in seeds]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Standard normal float32[clip, *shape] on the CPU: the paths' increment over the root of its time.

        Over stretches that do not overlap they are independent. Raises ValueError for a level beyond the
        ends, and for two levels so close that the tree has no node between them.
        """
        start, end = self._tick(sigma), self._tick(sigma_next)
        if start == end or (start // LEAF == end // LEAF and start % LEAF and end % LEAF):
            raise ValueError(
                f"sigmas {sigma:g} and {sigma_next:g} are too close: between {self.sigma_min:g} and "
                f"{self.sigma_max:g} a path resolves {TICKS // LEAF} steps; take fewer"
            )
        increments = torch.stack([path.at(end) - path.at(start) for path in self._paths])
        return increments / math.sqrt(abs(end - start) / TICKS)

    def _tick(self, sigma: float) -> int:
        if not self.sigma_min * (1 - SLACK) <= sigma <= self.sigma_max * (1 + SLACK):
            raise ValueError(f"sigma {sigma:g} lies outside the path, {self.sigma_min:g}..{self.sigma_max:g}")
        elapsed = math.log(self.sigma_max / sigma) / math.log(self.sigma_max / self.sigma_min)
        return min(max(round(elapsed * TICKS), 0), TICKS)


class _Path:
    """One clip's path by the clock's readings, float32[*shape], on a clock that lasts 1."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.seed, self.shape = seed, shape
        self.values: OrderedDict[int, Tensor] = OrderedDict()

    def at(self, tick: int) -> Tensor:
        """The value at a reading; those used last are kept."""
        if tick not in self.values:
            self.values[tick] = self.drawn(tick)
        self.values.move_to_end(tick)
        if len(self.values) > NODES:
            self.values.popitem(last=False)
        return self.values[tick]

    def drawn(self, tick: int) -> Tensor:
        """The value at a reading, from the two that enclose it."""
        if tick == 0:
            return torch.zeros(self.shape)
        stream = torch.Generator("cpu").manual_seed(hashed_seed("brownian", self.seed, tick))
        normal = torch.randn(self.shape, generator=stream)
        if tick == TICKS:
            return normal
        left, right = _enclosing(tick)
        share = (tick - left) / (right - left)
        spread = math.sqrt((tick - left) * (right - tick) / (right - left) / TICKS)
        # Products and sums apart: fused kernels round by where in a thread's share a number lies.
        bridge = (self.at(left) * (1 - share)).add_(self.at(right) * share)
        return bridge.add_(normal.mul_(spread))


def _enclosing(tick: int) -> tuple[int, int]:
    """The readings that a value is bridged from: a node's two neighbours one level up, or a leaf's ends."""
    # The largest power of two that divides a node's reading is its distance to both neighbours.
    reach = tick & -tick
    if reach >= LEAF:
        return tick - reach, tick + reach
    left = tick // LEAF * LEAF
    return left, left + LEAF
