"""Evidence with an answer that mathematics gives: one row for each clip, made by hand."""

from collections.abc import Sequence

import torch

from arc_eval.canaries import KnownAnswer
from arc_eval.contracts import Evidence
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts
from arc_eval.records.prompt import Prompt

Table = Sequence[Sequence[float]]

BROKEN_SOUNDS = frozenset({"silence", "noise"})
BROKEN_OR_WRONG = BROKEN_SOUNDS | {"wrong captions"}
"""The canaries that a metric must rank below recordings; the second, if it knows what was asked for."""


def question(
    asked: str,
    metric: str,
    value: float,
    extractor: str,
    generated: Table,
    *,
    reference: Table = (),
    paired: Table = (),
    text: Table = (),
    takes: int = 1,
    segments: int = 1,
    labels: tuple[str, ...] = (),
    tags: tuple[str, ...] = (),
) -> KnownAnswer:
    """Clips in order of prompts, `takes` of each; paired recordings and captions, one for each prompt.

    Clips and paired recordings have `segments` rows each.
    """
    prompts = [f"p{index}" for index in range(len(generated) // (takes * segments))]
    clips = [f"{prompt}#{take}" for prompt in prompts for take in range(takes)]

    def rows(table: Table, owners: Sequence[str]) -> dict[str, Embedding]:
        values = torch.tensor(table, dtype=torch.float32)
        return {extractor: Embedding(values, tuple(owners), {})} if len(table) else {}

    def each(clips: Sequence[str]) -> list[str]:
        return [clip for clip in clips for _ in range(segments)]

    evidence = Evidence(
        prompts={prompt: Prompt(prompt, "", 1.0, tags) for prompt in prompts},
        generated=rows(generated, each(clips)),
        reference=rows(reference, [f"r{index}" for index in range(len(reference))]),
        text=rows(text, prompts),
        paired=rows(paired, each([f"{prompt}#0" for prompt in prompts])),
        labels={extractor: labels} if labels else {},
        counts=Counts(len(clips), len(clips), len(clips)),
    )
    return KnownAnswer(asked, evidence, metric, value)
