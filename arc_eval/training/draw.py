"""What one update is made of, drawn for the whole batch at once and then taken apart.

Everything random is drawn on the CPU for the whole batch, so that how a batch is divided, among
processes or into parts that fit the memory, changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn

from arc_eval.training.place import Place


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Base of what updates are made of: fields are tensors float[clip, ...] or sequences by clip.

    clips: what the recordings are called; share: of the batch, 1 for the whole of it; first: the place of
    the first clip in it.
    """

    clips: Sequence[str]
    share: float = 1.0
    first: int = 0

    def __len__(self) -> int:
        return len(self.clips)

    def part(self, rows: range, device: torch.device, dtype: torch.dtype) -> Self:
        """Some of the clips, on a device, numbers in a precision."""
        taken = {name: _taken(value, rows, device, dtype) for name, value in self._by_clip().items()}
        return replace(self, **taken, share=self.share * len(rows) / len(self), first=self.first + rows.start)

    def parts(self, place: Place, count: int, dtype: torch.dtype) -> Iterator[Self]:
        """This process's rows of the whole batch, in `count` parts, or as many as each process has rows for.

        Sharded processes walk through their networks together, so all must make as many parts.
        """
        rows = place.rows(len(self))
        count = min(count, len(self) // place.processes)
        for number in range(count):
            start, stop = (rows.start + len(rows) * n // count for n in (number, number + 1))
            yield self.part(range(start, stop), place.device, dtype)

    def _by_clip(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor | Sequence)}


def _taken(value: Any, rows: range, device: torch.device, dtype: torch.dtype) -> Any:
    part = value[rows.start : rows.stop]
    if not isinstance(part, Tensor):
        return part
    return part.to(device, dtype if part.is_floating_point() else None, non_blocking=True)


D = TypeVar("D", bound=Draw)


class Contribution(NamedTuple):
    """What a part adds to the batch's loss and to the figures that are logged: sums over parts are means."""

    loss: Tensor
    figures: dict[str, Tensor]


@dataclass(frozen=True)
class Turn(Generic[D]):
    """One update: the name of the learner whose turn it is, what it sees, and its loss.

    still: networks that the loss passes through and that learn nothing from it.
    """

    learner: str
    draw: D
    loss: Callable[[D], Contribution]
    still: tuple[nn.Module, ...] = ()
