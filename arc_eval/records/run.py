"""A Run: what was asked, where it ran, what came out. Written as `run.json` beside Parquet tables.

Plain data with a schema version, so that a Run can be read on any machine, years later, without
weights. The tables are described by the column constants below; `results` of each system are the
numbers that reports, comparisons and gates read.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from arc_eval.errors import RunError
from arc_eval.records.measurement import Counts, Failure, Interval, Measurement, Result
from arc_eval.records.missing import Missing

SCHEMA_VERSION = 1

CLIP_COLUMNS = (
    "system", "clip", "prompt", "text", "tags", "take", "seed", "key", "path", "digest", "seconds",
    "peak", "rms_db", "clipping", "silence", "nan", "status", "reason", "recording",
)  # fmt: skip
"""clips.parquet: one row per system and planned clip; `clip` is `prompt#take`; `path` is relative to
the Run folder; clipping/silence are fractions of samples; status is `ok` or `failed`; tags are
joined by `|`; recording is what the prompt's caption describes, where other captions may too."""

SCORE_COLUMNS = ("system", "metric", "clip", "prompt", "take", "score")
"""scores.parquet: one row per system, per-clip metric and clip."""

INFLUENCE_COLUMNS = ("system", "metric", "unit", "value")
"""influence.parquet: one row per system, metric of the whole set, and unit (a prompt, or several):
the value as that unit pulls it. Their mean is the metric's value; Runs of earlier versions have none."""

TRIAL_COLUMNS = ("system", "trial", "prompt", "stage", "index", "seconds", "cpu_seconds", "peak_bytes")
"""trials.parquet: one row per timed call (stage `total`, index 0) and per stage within it."""

Role = Literal["generator", "ceiling", "floor"]
"""`generator`: the thing under test; `ceiling`: held-out recordings; `floor`: wrong captions."""


@dataclass(frozen=True)
class Machine:
    """Facts of a machine that decide a time. `fingerprint` fields must agree for times to compare."""

    cpu: str
    cores: int
    threads: int
    memory_gb: float
    accelerator: str
    os: str
    python: str
    torch: str


@dataclass(frozen=True)
class System:
    """One row of the comparison: a generator variant (or a control) and its results."""

    name: str
    role: Role
    settings: Mapping[str, Any]
    identity: Mapping[str, str]
    lineage: Mapping[str, Any] = field(default_factory=dict)
    """The training manifest of the weights, if they came with one."""
    results: tuple[Result, ...] = ()

    def result(self, metric: str) -> Result | None:
        """What became of a metric, by its full name (`fd[tiny-clap]`); None if it was not asked for."""
        return next((result for result in self.results if result.metric == metric), None)


@dataclass(frozen=True)
class Run:
    """Everything a report, a comparison or a gate needs; nothing in it refers to this machine's paths."""

    suite: Mapping[str, Any]
    """The resolved suite, as data."""
    suite_digest: str
    prompts_digest: str
    created: str
    """UTC, ISO 8601."""
    seed: int
    machine: Machine
    versions: Mapping[str, str]
    git: Mapping[str, Any]
    """`commit`, `dirty`; empty outside a checkout."""
    command: tuple[str, ...]
    fingerprints: Mapping[str, Mapping[str, str]]
    """Extractor name to fingerprint; Runs whose fingerprints differ are not comparable."""
    stages: Mapping[str, str]
    """Stage name to `waiting`, `running`, `done` or `failed: reason`."""
    systems: tuple[System, ...]
    reference_digest: str = ""
    """Of everything that decides the reference set; empty if nothing was judged by it."""
    recordings_digest: str = ""
    """Of everything that decides the recordings of the prompts; empty if there are none."""
    metric_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Metric name, as results are named, to the settings that it was measured with."""
    canaries: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Result name to canary (`silence`, `wrong captions`, ...) to what the metric said of it."""
    missing: Mapping[str, Missing] = field(default_factory=dict)
    """Set (`reference`, `recordings of the prompts`) to its recordings that were declared missing."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of the sets that systems were judged by."""
    schema_version: int = SCHEMA_VERSION

    def system(self, name: str) -> System | None:
        """The system of a name, or None."""
        return next((system for system in self.systems if system.name == name), None)

    def metrics(self) -> list[str]:
        """Every metric name in order of first appearance."""
        return list(dict.fromkeys(r.metric for system in self.systems for r in system.results))

    def to_json(self) -> str:
        """The content of `run.json`. Raises ValueError for a NaN or an infinity."""
        data = dataclasses.asdict(self)
        for system in data["systems"]:
            for result in system["results"]:
                result.pop("influence", None)
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Reads `folder/run.json`. Raises RunError if it is absent, corrupt or of another schema."""
        path = folder / "run.json"
        try:
            data = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path}: not found; is {folder} the folder that `arc-eval run` wrote?") from None
        except (ValueError, OSError) as error:
            raise RunError(f"{path}: cannot be read: {error}") from error
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != SCHEMA_VERSION:
            raise RunError(f"{path}: schema version {version}, this arc_eval reads {SCHEMA_VERSION}")
        try:
            systems = tuple(
                System(
                    **{
                        **system,
                        "role": role_of(system["role"]),
                        "results": tuple(map(result_of, system["results"])),
                    }
                )
                for system in data["systems"]
            )
            return cls(
                **{
                    **data,
                    "machine": Machine(**data["machine"]),
                    "systems": systems,
                    "command": tuple(data["command"]),
                    "remarks": tuple(data.get("remarks", ())),
                    "missing": {name: missing_of(said) for name, said in data.get("missing", {}).items()},
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: not a Run: {error}") from error


def role_of(name: str) -> Role:
    """The role of this name. Raises ValueError if there is none."""
    for role in get_args(Role):
        if role == name:
            known: Role = role
            return known
    raise ValueError(f"no role {name!r}; a system is one of {', '.join(get_args(Role))}")


def missing_of(data: Mapping[str, Any]) -> Missing:
    """Declared missing recordings from their own fields as data. Raises KeyError or TypeError."""
    return Missing(**{**data, "recordings": tuple(data["recordings"])})


def result_of(data: Mapping[str, Any]) -> Result:
    """A result from its own fields as data. Raises KeyError or TypeError for anything else."""
    if "reason" in data:
        counts = data.get("counts")
        return Failure(data["metric"], data["reason"], Counts(**counts) if counts else None)
    interval = data["interval"]
    return Measurement(
        **{
            **data,
            "counts": Counts(**data["counts"]),
            "interval": Interval(**interval) if interval else None,
        }
    )
