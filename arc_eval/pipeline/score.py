"""The third stage: rows of numbers to Measurements, and a Failure with its reason where there can be none."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arc_eval.code import code_digest
from arc_eval.contracts import Metric, PerClip, Progress, silent
from arc_eval.errors import ArcEvalError, SuiteError
from arc_eval.pipeline.described import DescribedRun
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.pool import one_thread
from arc_eval.records.measurement import Counts, Failure, Measurement, Result
from arc_eval.records.run import Run, result_of
from arc_eval.store import Store, digest_of, tensors_digest
from arc_eval.suite import Part, Suite, parse_suite, prompts_digest
from arc_eval.suite.file import SuiteFile, apply_override
from arc_eval.suite.protocol import protocol, protocol_of

KIND = "scores"


@dataclass(frozen=True)
class Scores:
    """What one metric says of one system; `clips` holds a score for each clip where the metric has them."""

    results: tuple[Result, ...]
    clips: Mapping[str, float]
    name: str
    settings: Mapping[str, str]
    """The metric's kind and settings, as text."""


def counted(outcomes: Sequence[Outcome]) -> Counts:
    """How many clips were planned and came to be; whether they enter a number is the metric's to say."""
    generated = sum(outcome.clip is not None for outcome in outcomes)
    return Counts(len(outcomes), generated, generated)


def score(
    suite: Suite,
    outcomes: Sequence[Outcome],
    system: str,
    described: DescribedRun,
    store: Store,
    blocked: Mapping[str, str],
) -> list[Scores]:
    """Every metric of the suite on one system. A number is computed once for the same evidence.

    `blocked`: metrics that canaries have shown to mean nothing, with the reason that stands in their place.
    """
    counts = counted(outcomes)
    return [_score(part, system, described, counts, store, blocked) for part in suite.metrics]


def _score(
    part: Part,
    system: str,
    described: DescribedRun,
    counts: Counts,
    store: Store,
    blocked: Mapping[str, str],
) -> Scores:
    metric: Metric = part.build()
    name = metric.extractor
    settings = {key: str(value) for key, value in part.data().items()}
    if metric.name in blocked:
        return Scores((Failure(metric.name, blocked[metric.name], counts),), {}, metric.name, settings)
    generated = described.generated[system]
    if name not in generated:
        reason = (
            f"{name} described none of {counts.generated} clips"
            if counts.generated
            else "no clip was generated"
        )
        return Scores((Failure(metric.name, reason, counts),), {}, metric.name, settings)
    tables = [table.get(name) for table in (generated, described.reference, described.text, described.paired)]
    decides: dict[str, Any] = {
        "metric": part.data(),
        "code": code_digest(metric),
        "prompts": prompts_digest(described.prompts),
        "rows": [table and [table.digest, table.rows.fingerprint] for table in tables],
        "counts": asdict(counts),
    }
    if name in described.moments:  # named only where there are any: what was computed before keeps its key
        moments = described.moments[name]
        both = {"mean": moments.mean, "covariance": moments.covariance}
        decides["moments"] = [tensors_digest(both), moments.rows]
    key = digest_of(decides)
    known = store.read(KIND, key)
    if known is not None:
        return Scores(tuple(map(result_of, known["results"])), known["clips"], metric.name, settings)
    evidence = described.evidence(system, counts)
    try:
        with one_thread():
            measured: Sequence[Measurement] = tuple(metric.measure(evidence))
            clips = dict(metric.scores(evidence)) if isinstance(metric, PerClip) else {}
    except ArcEvalError as error:
        return Scores((Failure(metric.name, str(error), counts),), {}, metric.name, settings)
    store.write(KIND, key, {"results": [asdict(result) for result in measured], "clips": clips})
    return Scores(tuple(measured), clips, metric.name, settings)


FOLDER_METRICS = ("frechet[tiny-clap]", "manifold[tiny-clap]", "health[health]")
"""What is asked of a folder unless metrics are named. A folder has one take, so no diversity; and tiny-clap
reads only the captions of synthetic sounds, so no alignment."""
KEPT = ".safetensors"
USUAL_EXTRACTOR = {"label_kl": "tiny-tagger", "recognition": "tiny-tagger", "health": "health"}


def folder_suite(
    folder: Path,
    prompts: Path,
    reference: Path,
    metrics: Sequence[str],
    overrides: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> Suite:
    """The suite that judges a folder of audio. Metrics are `kind` or `kind[extractor]`, as results are named.

    reference: a folder of recordings, or a `.safetensors` file of statistics that stands for one.
    overrides: `KEY=VALUE`, as for a suite; an official extractor is told its weights by one. protocols: by
    name, in the place of the usual metrics. Raises SuiteError for an unknown metric, extractor or protocol,
    DataError for a folder that is not one.
    """
    asked: dict[str, Any] = {
        name: {key: {} for key in protocol(name, "--protocol").extractors} for name in protocols
    }
    parts = [_metric(name) for name in metrics or (() if protocols else FOLDER_METRICS)]
    ears = dict.fromkeys(part["extractor"] for part in parts)
    real = {"kind": "statistics" if reference.suffix == KEPT else "folder", "path": str(reference)}
    data: dict[str, Any] = {
        "name": f"score-{folder.resolve().name}",
        "description": f"The audio files of {folder.name}, judged against {reference.name}.",
        "takes": 1,
        "prompts": {"kind": "folder", "path": str(folder), "prompts": str(prompts)},
        "reference": real,
        "recordings": real,
        "generators": {folder.resolve().name: {"kind": "folder", "path": str(folder), "names": str(prompts)}},
        "extractors": {name: {"kind": name} for name in ears if not protocol_of(name)},
        "metrics": parts,
        **({"protocols": asked} if asked else {}),
    }
    for text in overrides:
        apply_override(data, text)
    return parse_suite(data, SuiteFile(Path("score"), data))


def _metric(name: str) -> dict[str, str]:
    kind, bracket, rest = name.partition("[")
    if bracket and not rest.endswith("]"):
        raise SuiteError(f"--metrics {name}: write a metric as kind or kind[extractor], such as frechet[mel]")
    return {"kind": kind, "extractor": rest.rstrip("]") or USUAL_EXTRACTOR.get(kind, "tiny-clap")}


def score_folder(
    folder: Path,
    prompts: Path,
    reference: Path,
    out: Path,
    *,
    metrics: Sequence[str] = (),
    protocols: Sequence[str] = (),
    overrides: Sequence[str] = (),
    store: Store,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Judges any folder of audio; `prompts` says which file answers which caption.

    A file that is missing, damaged, empty or not finite becomes a row with its reason.
    """
    from arc_eval.pipeline.run import run  # run is made of these stages, this one included

    suite = folder_suite(folder, prompts, reference, metrics, overrides, protocols)
    return run(suite, out, store=store, command=command, progress=progress)
