"""What an extractor says about a set of clips: rows of numbers and whose they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval.errors import AudioError
from arc_eval.records.repeated import Repeated


@dataclass(frozen=True)
class Embedding:
    """Rows of one extractor, in clip order.

    values: float32[row, feature]; owners: the clip id of each row (`prompt#take` for generated
    clips, the item's id for reference recordings, the prompt id for text), kept as `Repeated`;
    fingerprint: everything that decides the values (checkpoint digest, resampler, channel policy, ...).
    """

    values: Tensor
    owners: Sequence[str]
    fingerprint: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != torch.float32:
            raise AudioError(
                f"an embedding must be float32[row, feature], not "
                f"{self.values.dtype}{list(self.values.shape)}"
            )
        if len(self.owners) != len(self.values):
            raise AudioError(f"{len(self.values)} rows but {len(self.owners)} owners")
        object.__setattr__(self, "owners", Repeated.of(self.owners))

    def __len__(self) -> int:
        return len(self.owners)
