"""Linear layers whose products go through oneDNN, forward and backward: float32 in half the time.

PyTorch sends float32 `F.linear` to MKL, whose kernels stop at AVX2 on some processors. The change is
to one model's own layers, never to the process: the switch for the whole process,
`torch.backends.mkldnn.matmul.fp32_precision`, allows some processors to round to bfloat16.
"""

from typing import Any

import torch
from torch import Tensor, nn

WORTH = 2**23
"""Multiplications (row times input times output) from which oneDNN's faster product pays for its call."""


class OneDnnLinear(nn.Linear):
    """`nn.Linear` for float32 on the CPU; sums in another order, so equal to rounding, not to the bit.

    What is smaller than `WORTH`, of another precision, on another device or under autocast is
    computed as `nn.Linear` computes it.
    """

    def forward(self, input: Tensor) -> Tensor:
        rows = input.numel() // max(1, self.in_features)
        if rows * self.weight.numel() < WORTH or not _plain(input, self.weight):
            return super().forward(input)
        product = _product(input.reshape(rows, -1), self.weight, self.bias)
        out: Tensor = product.view(*input.shape[:-1], self.out_features)
        return out


def linear_gelu(layer: nn.Linear, x: Tensor) -> Tensor:
    """gelu(layer(x)), the exact form; a `OneDnnLinear` without gradients does both in one pass."""
    rows = x.numel() // max(1, layer.in_features)
    fused = type(layer) is OneDnnLinear and not torch.is_grad_enabled()
    if not fused or rows * layer.weight.numel() < WORTH or not _plain(x, layer.weight):
        return nn.functional.gelu(layer(x))
    flat = x.reshape(rows, -1)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(flat, layer.weight, layer.bias, "gelu", [], "none")
    return out.view(*x.shape[:-1], layer.out_features)


@torch.library.custom_op("arc_eval::product", mutates_args=(), device_types="cpu")
def _product(
    rows: Tensor,  # float32[row, input]
    weight: Tensor,  # float32[output, input]
    bias: Tensor | None,  # float32[output]
) -> Tensor:
    """rows @ weight.T + bias, float32[row, output]; an operator, which `torch.compile` calls as it is."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return out


@_product.register_fake
def _(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return rows.new_empty(len(rows), len(weight))


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    rows, weight, _ = inputs
    ctx.save_for_backward(rows, weight)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Products of the same kind, so that they can be differentiated again."""
    rows, weight = ctx.saved_tensors
    of_rows, of_weight, of_bias = ctx.needs_input_grad
    return (
        _product(gradient, weight.t(), None) if of_rows else None,
        _product(gradient.t(), rows.t(), None) if of_weight else None,
        gradient.sum(0) if of_bias else None,
    )


_product.register_autograd(_gradients, setup_context=_save)


def _plain(input: Tensor, weight: Tensor) -> bool:
    return (
        input.dtype == weight.dtype == torch.float32
        and input.device.type == weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def available() -> bool:
    """Whether this PyTorch has oneDNN, switched on, and its linear operator."""
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found and bool(torch.backends.mkldnn.enabled) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def worthwhile() -> bool:
    """Whether oneDNN is there and has wider instructions (AVX-512) than those that MKL may stop at.

    Without them both use the same ones, and a layer stays what it was.
    """
    return available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def through_onednn(model: nn.Module) -> None:
    """Turns a model's plain linear layers on the CPU into ones that go through oneDNN, where that is faster.

    Keys, parameters and copies of the model stay what they were; a layer that is moved or cast
    afterwards computes as `nn.Linear` again.
    """
    if not worthwhile():
        return
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu":
            module.__class__ = OneDnnLinear
