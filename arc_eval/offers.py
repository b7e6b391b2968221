"""What a plug-in may offer besides what its contract asks for: lineage, declared gaps, kept statistics."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from arc_eval.records.missing import Missing
from arc_eval.records.summary import Summary


@runtime_checkable
class Declaring(Protocol):
    """A data source that says beforehand which of its recordings cannot be had."""

    def missing(self) -> Missing | None:
        """Those recordings, by the name that `Prompt.unit` gives them; None if all should be there."""
        ...


@runtime_checkable
class Summarised(Protocol):
    """A data source that holds no recordings, but what extractors said of them."""

    remarks: Sequence[str]
    """Sentences without which a number that rests on it may be misunderstood."""

    def summary(self, extractor: str, kind: str, fingerprint: Mapping[str, str]) -> Summary | None:
        """What an extractor of this kind and fingerprint said; None if none of its kind was asked.

        `extractor` is its name in the suite. Raises NotComparableError, naming the fields that differ.
        """
        ...


@runtime_checkable
class Trained(Protocol):
    """A generator that knows how its weights came about."""

    def lineage(self) -> Mapping[str, Any]:
        """The training manifest beside the weights; empty if they came without one."""
        ...
