"""Groups of prompts that a jackknife leaves out in turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from torch import Tensor

from arc_eval.influence import jackknife_influence
from arc_eval.records.measurement import GROUP
from arc_eval.records.repeated import Repeated
from arc_eval.stats import prompt_groups, require_prompts

GROUPS = 20
"""Most groups of prompts a jackknife leaves out in turn: enough for its interval, and affordable."""


@dataclass(frozen=True)
class PromptGroups:
    """Groups of units (`Rows.units`) for the jackknife: of: int64[row], each row's; prompts: each group's."""

    of: Tensor
    prompts: tuple[tuple[str, ...], ...]

    @classmethod
    def deal(cls, prompts: Sequence[str]) -> "PromptGroups":
        """Deals the prompts (`Rows.units`) of rows into at most GROUPS groups."""
        each = Repeated.of(prompts)
        distinct = sorted(set(each.names))
        count = min(GROUPS, len(distinct))
        group = dict(zip(distinct, prompt_groups(distinct, count), strict=True))
        members = tuple(tuple(distinct[first::count]) for first in range(count))
        return cls(each.each(group.__getitem__), members)

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, group: int) -> Tensor:
        """int64[any], the places of a group's rows."""
        return (self.of == group).nonzero()[:, 0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Prompts in each group."""
        return tuple(map(len, self.prompts))

    @property
    def names(self) -> dict[str, int]:
        """Each group's name, which is that of its only prompt or says by its digest which prompts it has."""
        return {
            members[0] if len(members) == 1 else f"{GROUP}{_digest(members)}": len(members)
            for members in self.prompts
        }

    def influence(self, value: float, left_out: Callable[[], Sequence[float]]) -> dict[str, float]:
        """Each group's influence, from the statistic without it. Raises IncompleteError if too few."""
        require_prompts(len(self))
        return jackknife_influence(value, left_out(), self.names)

    def bias(self, value: float, left_out: Sequence[float]) -> float:
        """How far the statistic lies above that of endless prompts, if that falls as 1 / prompts does.

        Source: Busing, Meijer and van der Leeden 1999; Quenouille 1956 for equal groups.
        """
        total = sum(self.sizes)
        kept = sum((1 - size / total) * left for size, left in zip(self.sizes, left_out, strict=True))
        return kept - (len(self) - 1) * value


def _digest(names: Sequence[str]) -> str:
    return sha256("\n".join(names).encode()).hexdigest()[:16]
