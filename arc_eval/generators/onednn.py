"""Linear layers through oneDNN, which is exact in float32 and on many CPUs twice as fast as the default.

PyTorch sends float32 `F.linear` to MKL, whose kernels stop at AVX2 on some processors. The change is
to one model's own layers, never to the process.
"""

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Linear):
    """`nn.Linear` for inference in float32; sums in another order, so equal to rounding, not to the bit."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype != torch.float32 or torch.is_grad_enabled():
            return super().forward(input)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return out


def available() -> bool:
    """Whether this PyTorch has oneDNN and its linear operator."""
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def through_onednn(model: nn.Module) -> None:
    """Turns every plain linear layer of a model on the CPU into one that goes through oneDNN."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu":
            module.__class__ = OneDnnLinear
