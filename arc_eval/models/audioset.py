"""The classes of AudioSet, in the order in which taggers number them.

Display names from Google's `class_labels_indices.csv`, part of AudioSet (Gemmeke and others, ICASSP 2017;
https://research.google.com/audioset, CC BY 4.0).
"""

from functools import cache
from pathlib import Path

NAMES = Path(__file__).with_suffix(".txt")


@cache
def audioset_labels() -> tuple[str, ...]:
    """The 527 display names; class 137 is Music."""
    return tuple(NAMES.read_text("utf-8").splitlines())
