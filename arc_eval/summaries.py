"""Statistics of a set of recordings as one small file, for whoever may not have or pass on the audio.

A safetensors file: `NAME/mean` float64[feature], `NAME/covariance` float64[feature, feature] and
`NAME/logits` float32[recording, class] for each extractor NAME that gave them; its header holds, as JSON,
fingerprints, counts, the recordings' names, what was declared missing and what identifies the set.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from arc_eval.errors import DataError
from arc_eval.records.embedding import Embedding
from arc_eval.records.missing import Missing
from arc_eval.records.summary import Moments, Summary
from arc_eval.store import publish_bytes, tensors_digest

FORMAT = "arc_eval summaries 1"


@dataclass(frozen=True)
class Summaries:
    """Everything that is kept of a set.

    identity: of the data source, or of the files that others published; remarks: what a reader of a number
    must know of it.
    """

    identity: Mapping[str, str]
    by_extractor: Mapping[str, Summary]
    missing: Missing | None = None
    remarks: tuple[str, ...] = field(default=())


def write_summaries(path: Path, content: Summaries) -> None:
    """Writes the whole file or nothing; equal contents give equal bytes. Raises StoreError."""
    tensors: dict[str, Tensor] = {}
    said: dict[str, Any] = {}
    for name, summary in content.by_extractor.items():
        facts: dict[str, Any] = {"kind": summary.kind, "fingerprint": dict(summary.fingerprint)}
        if summary.moments is not None:
            tensors[f"{name}/mean"] = summary.moments.mean
            tensors[f"{name}/covariance"] = summary.moments.covariance
            facts |= {"rows": summary.moments.rows, "clips": summary.moments.clips}
        if summary.labels is not None:
            tensors[f"{name}/logits"] = summary.labels.values
            facts |= {"owners": list(summary.labels.owners), "named_by": summary.named_by}
        said[name] = facts
    header = {
        "sha256": tensors_digest(tensors),
        "identity": dict(content.identity),
        "missing": content.missing and asdict(content.missing),
        "remarks": content.remarks,
        "extractors": said,
    }
    # One entry: safetensors writes several in any order. Copies: it holds no two tensors of one storage.
    text = {FORMAT: json.dumps(header, sort_keys=True, ensure_ascii=False)}
    publish_bytes(path, save({name: value.clone() for name, value in tensors.items()}, metadata=text))


def read_summaries(path: Path) -> Summaries:
    """Reads such a file. Raises DataError if it is absent, something else, or not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get(FORMAT)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as statistics of recordings: {error}") from error
    if said is None:
        raise DataError(f"{path}: not a file that `arc-eval reference` of this version wrote")
    try:
        header = json.loads(said)
        if header["sha256"] != tensors_digest(tensors):
            raise DataError(f"{path}: damaged (its content is not what was written); get or make it again")
        missing = header["missing"]
        return Summaries(
            identity=header["identity"],
            by_extractor={name: _summary(name, one, tensors) for name, one in header["extractors"].items()},
            missing=missing and Missing(**{**missing, "recordings": tuple(missing["recordings"])}),
            remarks=tuple(header["remarks"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not statistics of recordings: {error!r}") from error


def _summary(name: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Summary:
    moments = labels = None
    if f"{name}/mean" in tensors:
        mean, covariance = tensors[f"{name}/mean"], tensors[f"{name}/covariance"]
        require_moments(name, mean, covariance)
        moments = Moments(mean, covariance, facts["rows"], facts["clips"])
    if f"{name}/logits" in tensors:
        labels = Embedding(tensors[f"{name}/logits"], tuple(facts["owners"]), facts["fingerprint"])
    return Summary(facts["kind"], facts["fingerprint"], moments, labels, facts.get("named_by", "recording"))


def require_moments(what: str, mean: Tensor, covariance: Tensor) -> None:
    """Raises ValueError unless they are finite float64[feature] and a symmetric float64[feature, feature]."""
    size = mean.numel()
    if mean.shape != (size,) or covariance.shape != (size, size) or not size:
        raise ValueError(
            f"{what}: mean {list(mean.shape)} and covariance {list(covariance.shape)} do not fit"
        )
    if mean.dtype != torch.float64 or covariance.dtype != torch.float64:
        raise ValueError(f"{what}: mean and covariance must be float64, not {mean.dtype}, {covariance.dtype}")
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise ValueError(f"{what}: mean and covariance are not finite; a recording of silence does that")
    largest = float(covariance.abs().max())
    if not torch.allclose(covariance, covariance.T, rtol=0, atol=1e-6 * largest):
        raise ValueError(f"{what}: the covariance is not symmetric")
    if float(covariance.diagonal().min()) < 0:
        raise ValueError(f"{what}: the covariance has a negative variance")
