"""Precision in training: what weights are kept in, what is computed in, and float16's loss scale.

Weights and optimisers are float32, products that or half as long. float64 is for comparisons: Adam
turns the rounding of a vanishing gradient into a whole step, so in float32 even the order of a sum shows.

bfloat16 has float32's range and needs no scale. float16 does not: gradients are computed of a loss that
is multiplied by a large number, which is halved whenever they overflow (that update is left out) and
doubled after many updates without.
"""

from typing import Any

import torch

GROWTH = 2000
"""Updates without overflow after which the scale is doubled."""


def kept(precision: str) -> torch.dtype:
    """Of weights, and of what they are shown."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which networks compute in `precision`, if that is not what weights are kept in."""
    dtype: torch.dtype = getattr(torch, precision)
    halved = dtype != kept(precision)
    return torch.autocast(device.type, dtype if halved else None, enabled=halved)


class LossScale:
    """1 for ever, unless gradients are float16's."""

    def __init__(self, precision: str) -> None:
        self.moves = precision == "float16"
        self.value, self.good = (2.0**16 if self.moves else 1.0), 0

    def accepts(self, finite: bool) -> bool:
        """Whether to make an update whose gradients are finite or not; if not, the scale is smaller now."""
        if not self.moves or (not finite and self.value <= 1):
            return True  # a NaN that no scale can help: the loop must hear of it
        if not finite:
            self.value, self.good = self.value / 2, 0
            return False
        self.good += 1
        if self.good == GROWTH:
            self.value, self.good = self.value * 2, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """The scale and how long it has held."""
        return {"value": self.value, "good": self.good}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of `state_dict`."""
        self.value, self.good = state["value"], state["good"]
