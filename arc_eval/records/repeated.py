"""Names that stand for several rows each: what is kept is a name and a number, whatever the rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby, repeat
from typing import overload

import torch
from torch import Tensor


class Repeated(Sequence[str]):
    """A sequence of names in which each of `names` stands as many times in a row as `counts` says."""

    def __init__(self, names: Iterable[str], counts: Iterable[int]) -> None:
        """Of as many counts as names; a name that stands no time is left out."""
        standing = [(name, count) for name, count in zip(names, counts, strict=True) if count]
        self.names: tuple[str, ...] = tuple(name for name, _ in standing)
        self._counts = torch.tensor([count for _, count in standing], dtype=torch.long)
        self._ends = self._counts.cumsum(0)

    @classmethod
    def of(cls, each: Sequence[str]) -> "Repeated":
        """The same sequence, kept this way."""
        if isinstance(each, Repeated):
            return each
        runs = [(name, sum(1 for _ in run)) for name, run in groupby(each)]
        return cls((name for name, _ in runs), (count for _, count in runs))

    def renamed(self, rename: Callable[[str], str]) -> "Repeated":
        """Every name replaced by another."""
        return Repeated(map(rename, self.names), self._counts.tolist())

    def each(self, number: Callable[[str], int]) -> Tensor:
        """int64[row], the number of each row's name, asked once for all rows in a row."""
        numbers = torch.tensor([number(name) for name in self.names], dtype=torch.long)
        return numbers.repeat_interleave(self._counts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.names else 0

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self)[place]
        counted = range(len(self))[place]
        return self.names[int(torch.searchsorted(self._ends, counted, right=True))]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(map(repeat, self.names, self._counts.tolist()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Repeated, tuple)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Repeated({len(self.names)} names, {len(self)} rows)"
