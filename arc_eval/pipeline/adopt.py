"""Statistics that others published, adopted as those of a suite's extractor, which is declared, not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arc_eval.contracts import DataSource, Extractor, Labelled
from arc_eval.errors import NotComparableError, SuiteError, suggest
from arc_eval.pipeline.pool import built
from arc_eval.pipeline.recordings import declared_missing
from arc_eval.pipeline.summarise import Which
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.summary import Moments, Summary
from arc_eval.suite import Suite
from arc_eval.summaries import Summaries


@dataclass(frozen=True)
class Published:
    """A file that others published: its name and sha256, and mean and covariance, or labels by prompt id."""

    extractor: str
    name: str
    digest: str
    content: Moments | Mapping[str, Tensor]


def adopted(suite: Suite, of: Which, files: Sequence[Published]) -> Summaries:
    """The files as statistics of the suite's reference or recordings, under its extractors' fingerprints.

    Raises SuiteError for an unknown extractor, NotComparableError for one of other classes.
    """
    source: DataSource = (suite.reference if of == "reference" else suite.recordings or suite.prompts).build()
    identity, remarks = {"kind": "published statistics"}, []
    summaries: dict[str, Summary] = {}
    for file in files:
        if file.extractor not in suite.extractors:
            raise SuiteError(f"no extractor {file.extractor!r}; {suggest(file.extractor, suite.extractors)}")
        if file.extractor in summaries:
            raise SuiteError(f"{file.extractor}: two files for one extractor; leave one out")
        summaries[file.extractor] = _summary(suite, file)
        identity[file.extractor] = file.digest
        remarks.append(
            f"{file.extractor}: published by others as {file.name} (sha256 {file.digest[:16]}...); that it "
            "was made as this extractor listens is declared, not measured"
        )
    return Summaries(identity, summaries, declared_missing(source), tuple(remarks))


def _summary(suite: Suite, file: Published) -> Summary:
    part = suite.extractors[file.extractor]
    extractor: Extractor = built(part)
    fingerprint = dict(extractor.fingerprint())
    if isinstance(file.content, Moments):
        return Summary(part.kind, fingerprint, file.content)
    classes = len(next(iter(file.content.values())))
    ours = len(extractor.labels) if isinstance(extractor, Labelled) else 0
    if classes != ours:
        raise NotComparableError(f"{file.name}: {classes} classes, where {file.extractor} hears {ours}")
    # The softmax of a logarithm gives the probabilities back; a probability of 0 has none.
    smallest = torch.finfo(torch.float32).tiny
    logits = torch.stack(list(file.content.values())).double().clamp(min=smallest).log().float()
    owners = tuple(clip_id(prompt, 0) for prompt in file.content)
    return Summary(part.kind, fingerprint, None, Embedding(logits, owners, fingerprint), "prompt")
