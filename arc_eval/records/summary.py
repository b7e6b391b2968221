"""What an extractor said of a set of recordings, without the recordings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from arc_eval.records.embedding import Embedding


@dataclass(frozen=True)
class Moments:
    """All that a Fréchet distance needs of a set of rows.

    mean: float64[feature]; covariance: float64[feature, feature], over rows - 1; rows, clips: how many they
    are of, 0 where that is not known.
    """

    mean: Tensor
    covariance: Tensor
    rows: int
    clips: int


@dataclass(frozen=True)
class Summary:
    """One extractor's. `kind` is its plug-in's name; what it did not say, or not in this file, is None.

    labels: one row of logits for each recording, owners `NAME#take`; named_by: whether those names are of
    recordings (`Prompt.unit`) or of prompts.
    """

    kind: str
    fingerprint: Mapping[str, str]
    moments: Moments | None = None
    labels: Embedding | None = None
    named_by: Literal["recording", "prompt"] = "recording"
