"""What can go wrong, by who can mend it. Every message says what, where and what to do.

The exit code of an error is a property of its class: 2 the user can fix it, 3 incomplete,
4 not comparable. (0 passed, 1 regression and 5 inconclusive are verdicts, not errors.)
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ArcEvalError(Exception):
    """Base of every error the package raises on purpose."""

    exit_code = 2


class SuiteError(ArcEvalError):
    """A suite, recipe or gate file that cannot be understood."""


class AudioError(ArcEvalError):
    """Audio that cannot be read or must not be measured."""


class DataError(ArcEvalError):
    """A prompt list or metadata file that contradicts itself or its folder."""


class CheckpointError(ArcEvalError):
    """Weights or a model configuration that do not fit what they are loaded into."""


class TrainingError(ArcEvalError):
    """Training that cannot start or must not go on (a NaN, a foreign checkpoint)."""


class RunError(ArcEvalError):
    """A Run folder that cannot be read or written."""


class IncompleteError(ArcEvalError):
    """Nothing was measured, or a part failed; what was computed is kept."""

    exit_code = 3


class StoreError(ArcEvalError):
    """A disk that is full or refuses to be written; what was published before stays usable."""

    exit_code = 3


class NotComparableError(ArcEvalError):
    """Two results that were measured differently."""

    exit_code = 4


def suggest(name: str, known: Iterable[str]) -> str:
    """A clause for error messages: the near miss if there is one, then every known name."""
    options = sorted(known)
    close = get_close_matches(name, options, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(options) or 'none'}"
