"""What must agree before two values of a metric may be compared.

A quality metric names its extractor in brackets (`fd[tiny-clap]`): its values compare when prompts,
takes, extractor fingerprint, the metric's own settings and the recordings that it looks at agree. A
metric without brackets (`latency_p50`) was timed: its values compare when prompts and machine agree.
"""

import dataclasses
from collections.abc import Mapping

from arc_eval.records.run import Machine, Run

LOOKS_AT: Mapping[str, tuple[str, ...]] = {
    "alignment": (),
    "diversity": (),
    "health": (),
    "recognition": (),
    "vendi": (),
    "inception": (),
    "label_kl": ("recordings_digest",),
    "segment_kl": ("recordings_digest",),
    "frechet": ("reference_digest",),
    "frechet_infinity": ("reference_digest",),
    "sliced_wasserstein": ("reference_digest",),
    "kernel": ("reference_digest",),
    "manifold": ("reference_digest",),
}
"""Metric kind to the recordings, besides the clips, that decide its values; an unknown kind may use all."""


def base_name(metric: str) -> str:
    """The metric without its extractor: `fd` of `fd[tiny-clap]`."""
    return metric.split("[", 1)[0]


def extractor_name(metric: str) -> str | None:
    """The extractor in a metric's name: `tiny-clap` of `fd[tiny-clap]`; None for timed metrics."""
    _, bracket, rest = metric.partition("[")
    return rest.rstrip("]") if bracket else None


def is_timed(metric: str) -> bool:
    """Whether the machine, not an extractor, decides the metric's values."""
    return extractor_name(metric) is None


def basis(run: Run, metric: str) -> Mapping[str, str]:
    """Field name to value; two values of `metric` are comparable when their bases are equal."""
    prompts = {"prompts_digest": run.prompts_digest}
    extractor = extractor_name(metric)
    if extractor is None:
        return prompts | machine_fields(run.machine)
    fingerprint = run.fingerprints.get(extractor, {})
    settings = run.metric_settings.get(metric, {})
    recordings = {"reference_digest": run.reference_digest, "recordings_digest": run.recordings_digest}
    looked_at = LOOKS_AT.get(settings.get("kind", ""), tuple(recordings))
    return (
        prompts
        | {name: recordings[name] for name in looked_at if recordings[name]}
        | ({"takes": str(run.suite["takes"])} if "takes" in run.suite else {})
        | {f"{extractor}.{field}": str(value) for field, value in fingerprint.items()}
        | {f"{base_name(metric)}.{name}": value for name, value in settings.items()}
    )


def machine_fields(machine: Machine) -> dict[str, str]:
    """The facts of a machine that decide a time, by field name."""
    return {f"machine.{field}": str(value) for field, value in dataclasses.asdict(machine).items()}


def differing(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Fields whose values differ, with both values; an absent field counts as `absent`."""
    fields = [*a, *(field for field in b if field not in a)]
    pairs = {field: (a.get(field, "absent"), b.get(field, "absent")) for field in fields}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}
