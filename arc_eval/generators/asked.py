"""What a generator is asked for: one seed for each prompt, and no clip longer than it can make."""

from collections.abc import Sequence

from arc_eval.errors import DataError
from arc_eval.records.prompt import Prompt


def paired(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[tuple[Prompt, int]]:
    """Prompts with their seeds. Raises ValueError if there are more of one."""
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
    return list(zip(prompts, seeds, strict=True))


def check_lengths(prompts: Sequence[Prompt], longest: float) -> None:
    """Raises DataError for the first prompt that asks for more than `longest` seconds, or for nothing."""
    for prompt in prompts:
        if not 0 < prompt.seconds <= longest:
            raise DataError(
                f"{prompt.id}: asks for {prompt.seconds:g} s; "
                f"this model makes more than 0 and at most {longest:g} s"
            )
