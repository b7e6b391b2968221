"""A network's tensors by their official names: built without memory, then given all of them or none.

Rotary frequencies and the zero shifts of the DiT's norms are derived, so a file may hold them or not;
weight norm may be spelt either way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from arc_eval.errors import CheckpointError

SHOWN = 8  # tensors of one kind of misfit to name before counting the rest
FREQUENCIES = "rotary_pos_emb.inv_freq"
DERIVED = (FREQUENCIES, "_norm.beta")
"""Endings of what the configuration alone decides: a file may lack it, and frequencies are never read."""

SPELLINGS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
"""Weight norm's length and direction as newer torch names them, and officially."""


class WithoutWeights(TorchFunctionMode):
    """Inside, networks are built without memory for their weights; what they derive is real.

    Weights begin as `torch.empty` or `torch.randn`, which then lie on the meta device, and the time and
    memory of initialising them is saved; buffers that a constructor computes are computed.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty or func is torch.randn:
            hollow = torch.empty(*args, **{**kwargs, "device": "meta"})
            return hollow if hollow.numel() else func(*args, **kwargs)
        if func is nn.init.normal_:
            return kwargs["tensor"]  # drawing nothing takes torch a second of imports
        return func(*args, **kwargs)


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Gives a module its tensors by their official names, all or none; `where` names them in errors.

    Tensors of the module's precision become its own, without a copy; others are converted to it. Raises
    CheckpointError naming what is missing, unexpected, misshapen or there twice.
    """
    given = one_spelling(tensors, where)
    expected = module.state_dict()
    frequencies = {name for name in (*given, *expected) if name.endswith(FREQUENCIES)}
    optional = {name for name in expected if name.endswith(DERIVED)}
    findings = {
        "missing": sorted(expected.keys() - given.keys() - optional),
        "unexpected": sorted(given.keys() - expected.keys() - frequencies),
        "misshapen": [
            f"{name} is {list(given[name].shape)}, must be {list(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
        "not of real numbers": [
            f"{name} is {given[name].dtype}"
            for name, tensor in expected.items()
            if name in given and tensor.is_floating_point() and not given[name].is_floating_point()
        ],
    }
    lines = [listed(kind, names) for kind, names in findings.items() if names]
    if lines:
        raise CheckpointError(
            "\n".join(
                [f"{where}: these tensors do not fit the configuration; are both of one model?", *lines]
            )
        )
    fitting = {
        name: tensor.to(expected[name].dtype) for name, tensor in given.items() if name not in frequencies
    }
    module.load_state_dict(fitting, strict=False, assign=True)


def listed(kind: str, names: Sequence[str]) -> str:
    """One line for an error: how many there are, and the first of them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"  {kind} ({len(names)}): {'; '.join(names[:SHOWN])}{more}"


def one_spelling(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Official names: newer torch writes weight norm's length and direction as a parametrisation.

    Raises CheckpointError, which `where` begins, if a tensor is there in both spellings.
    """
    return renamed({name: _spelt(name) for name in tensors}, tensors, where)


def _spelt(name: str) -> str:
    for new, official in SPELLINGS.items():
        name = name.replace(new, official)
    return name


def renamed(names: Mapping[str, str], tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors that `names` has, under their new names. Raises CheckpointError if two get the same."""
    olds: dict[str, list[str]] = {}
    for old, new in names.items():
        olds.setdefault(new, []).append(old)
    twice = [f"{new} as {' and '.join(several)}" for new, several in olds.items() if len(several) > 1]
    if twice:
        raise CheckpointError(
            f"{where}: which of these tensors to take is not said; remove one of each:\n"
            f"{listed('there twice', twice)}"
        )
    return {new: tensors[old] for new, (old,) in olds.items()}
