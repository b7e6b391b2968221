"""Recordings that cannot be had and were declared so beforehand: no loss, but never unsaid either."""

from collections.abc import Sequence
from dataclasses import dataclass

from arc_eval.records.prompt import Prompt


@dataclass(frozen=True)
class Missing:
    """`recordings`, by name, of the `known` ones of a set; `declared` says by which list."""

    declared: str
    recordings: tuple[str, ...]
    known: int
    prompts: int
    """How many captions are left without a recording."""

    def sentence(self, of: str) -> str:
        """One line for a table's caption; `of` names the set."""
        return (
            f"{of}: {len(self.recordings)} of {self.known} recordings are declared missing "
            f"({self.declared}), which leaves {self.prompts} captions without one."
        )


def with_recording(prompts: Sequence[Prompt], missing: Missing | None) -> list[Prompt]:
    """The prompts whose recording was not declared missing."""
    absent = frozenset(missing.recordings) if missing else frozenset()
    return [prompt for prompt in prompts if prompt.unit not in absent]
