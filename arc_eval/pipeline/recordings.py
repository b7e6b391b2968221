"""Which recordings a data source should have: all of its prompts', but for those that it declares missing."""

from collections.abc import Collection, Sequence

from arc_eval.contracts import DataSource
from arc_eval.offers import Declaring
from arc_eval.records.missing import Missing, with_recording
from arc_eval.records.prompt import Prompt


def declared_missing(source: DataSource) -> Missing | None:
    """What the source says that it lacks; None if it says nothing of the kind."""
    return source.missing() if isinstance(source, Declaring) else None


def obtainable(source: DataSource) -> list[Prompt]:
    """The source's prompts whose recordings should be there. An absent one among them is a loss."""
    return with_recording(source.prompts(), declared_missing(source))


def one_of_each(prompts: Collection[Prompt]) -> list[Prompt]:
    """The first prompt of each recording, in order."""
    return list({prompt.unit: prompt for prompt in reversed(list(prompts))}.values())[::-1]


def answerable(source: DataSource, prompts: Sequence[Prompt]) -> list[Prompt]:
    """Those of the prompts, by id, whose recordings the source does not declare missing."""
    lacking = {prompt.id for prompt in source.prompts()} - {prompt.id for prompt in obtainable(source)}
    return [prompt for prompt in prompts if prompt.id not in lacking]
