"""What a metric must offer to be asked whether it knows good from bad, before its numbers are believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from arc_eval.contracts import Evidence


@runtime_checkable
class Ranking(Protocol):
    """A metric that must know good from bad."""

    ranks: Mapping[str, frozenset[str]]
    """Result name to the canaries (`pipeline.canaries`) that recordings must beat; none may beat them."""


@dataclass(frozen=True)
class KnownAnswer:
    """A question to a metric that mathematics answers: what is asked, in words, and the result's value."""

    asked: str
    evidence: Evidence
    metric: str
    value: float


@runtime_checkable
class SelfChecking(Protocol):
    """A metric that can be asked what is known."""

    def known_answers(self) -> Sequence[KnownAnswer]:
        """A metric that answers otherwise is blocked."""
        ...
