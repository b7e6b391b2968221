"""Other people's generators held to the contract: own random stream, exact length, stages from outside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce, wraps
from typing import Any

import torch
from torch import Tensor

from arc_eval.contracts import StageHook
from arc_eval.errors import AudioError
from arc_eval.records.prompt import Prompt

Stages = Mapping[str, Sequence[str]]
"""Stage to the methods that are it, as dotted paths from the model; what it does not have is passed over."""


def exactly(clip: Tensor, prompt: Prompt, sample_rate: int, where: str) -> Tensor:
    """float[channel, time] cut to round(prompt.seconds * sample_rate) samples.

    Many programs round that length down: the one sample that is missing then is a zero. Raises
    AudioError, which begins with `where`, if more is missing.
    """
    wanted, given = round(prompt.seconds * sample_rate), clip.shape[-1]
    if given < wanted - 1:
        raise AudioError(
            f"{where}: {given} samples ({given / sample_rate:.3f} s) where {prompt.seconds:g} s, "
            f"{wanted} samples, were asked for"
        )
    return torch.nn.functional.pad(clip, (0, max(0, wanted - given)))[:, :wanted]


@contextmanager
def private_stream(seed: int, device: str) -> Iterator[None]:
    """Process-wide random numbers drawn inside come from `seed`; outside nobody notices.

    For libraries that draw without a `torch.Generator`, on the CPU or on the device they compute on: any
    accelerator that torch knows.
    """
    place = torch.device(device)
    if place.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    # Without an index it is the current device; only a tensor there knows which, on every accelerator.
    index = torch.empty(0, device=place).device.index or 0
    state = torch.Generator(place).manual_seed(seed).get_state()
    with torch.random.fork_rng(devices=[index], device_type=place.type):
        torch.default_generator.manual_seed(seed)
        torch.get_device_module(place).set_rng_state(state, index)
        yield


@contextmanager
def staged(model: Any, stages: Stages, stage: StageHook) -> Iterator[None]:
    """Inside, each call of a method named in `stages` runs within its stage."""
    with ExitStack() as undo:
        for name, paths in stages.items():
            for path in paths:
                *owners, method = path.split(".")
                part = reduce(lambda part, owner: getattr(part, owner, None), owners, model)
                if hasattr(part, method):
                    undo.enter_context(_replaced(part, method, _within(getattr(part, method), stage, name)))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if own is None else setattr(owner, name, own)


def _within(method: Callable[..., Any], stage: StageHook, name: str) -> Callable[..., Any]:
    @wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with stage(name):
            return method(*args, **kwargs)

    return timed
