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


def paired(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[tuple[Prompt, int]]:
    """Prompts with their seeds. Raises ValueError if there are more of one."""
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
    return list(zip(prompts, seeds, strict=True))


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

    For libraries that draw without a `torch.Generator`, on the CPU or on the device they compute on.
    """
    place = torch.device(device)
    on_cuda = place.type == "cuda"
    index = place.index if place.index is not None else torch.cuda.current_device() if on_cuda else 0
    with torch.random.fork_rng(devices=[index] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
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
