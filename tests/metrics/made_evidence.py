"""Evidence made of given numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts
from arc_eval.records.prompt import Prompt

EAR = "ear"


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clip_ids(prompts: int, takes: int = 1) -> list[str]:
    return [f"p{prompt:03d}#{take}" for prompt in range(prompts) for take in range(takes)]


def embedding(values: Any, owners: Sequence[str]) -> dict[str, Embedding]:
    rows = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    return {EAR: Embedding(rows, tuple(owners), {"ear": "1"})}


def evidence(
    generated: Any = None,
    reference: Any = None,
    *,
    owners: Sequence[str] | None = None,
    text: Any = None,
    paired: Any = None,
    paired_owners: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    tags: Callable[[int], tuple[str, ...]] = lambda index: (),
) -> Evidence:
    """One row for each prompt unless `owners` say otherwise; captions in the order of prompts."""
    if owners is None:
        owners = clip_ids(0 if generated is None else len(generated))
    names = sorted({owner.rsplit("#", 1)[0] for owner in owners})
    recordings = [f"r{index}" for index in range(0 if reference is None else len(reference))]
    clips = len(set(owners))
    return Evidence(
        prompts={name: Prompt(name, "a sound", 1.0, tags(index)) for index, name in enumerate(names)},
        generated={} if generated is None else embedding(generated, owners),
        reference={} if reference is None else embedding(reference, recordings),
        text={} if text is None else embedding(text, names),
        paired={} if paired is None else embedding(paired, paired_owners or owners),
        labels={EAR: tuple(labels)},
        counts=Counts(planned=clips + 2, generated=clips + 1, scored=0),
    )
