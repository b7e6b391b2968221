"""bfloat16 on a processor without instructions for it: the same numbers, computed by detours."""

import logging
import platform
from functools import cache

import torch

log = logging.getLogger(__name__)


def native() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX512-BF16, AMX, or ARM's BF16)."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def notice(device: torch.device | str, *precisions: str) -> None:
    """Warns, once in a process, if one is "bfloat16", the device a CPU, and it must be emulated there."""
    if "bfloat16" in precisions and torch.device(device).type == "cpu" and not native():
        _warn()


@cache
def _warn() -> None:
    log.warning(
        "this CPU has no bfloat16 instructions: they are emulated, with the same numbers but slowly; "
        "float32 is likely to be faster"
    )
