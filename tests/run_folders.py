"""Run folders made of known numbers, real small sounds and real Parquet, for tests of what reads them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import soundfile

from arc_eval.records.measurement import Counts, Failure, Interval, Measurement, Result
from arc_eval.records.run import CLIP_COLUMNS, SCORE_COLUMNS, TRIAL_COLUMNS, Machine, Run, System

MACHINE = Machine("Test CPU", 2, 2, 8.0, "none", "Linux", "3.11.7", "2.13.0")
FINGERPRINTS = {
    "tiny-clap": {"checkpoint": "c1ab", "resampler": "soxr HQ", "sample_rate": "44100"},
    "tiny-tagger": {"checkpoint": "7a99", "resampler": "soxr HQ", "sample_rate": "44100"},
}
METRIC_SETTINGS = {
    "fd[tiny-clap]": {"kind": "frechet", "extractor": "tiny-clap"},
    "kl[tiny-tagger]": {"kind": "label_kl", "extractor": "tiny-tagger"},
    "clap[tiny-clap]": {"kind": "alignment", "extractor": "tiny-clap"},
    "recognition[tiny-tagger]": {"kind": "recognition", "extractor": "tiny-tagger"},
    "ccds[tiny-clap]": {"kind": "diversity", "extractor": "tiny-clap"},
    "level[health]": {"kind": "health", "extractor": "health"},
}
CLASSES = ("bell", "siren", "rain", "kick", "bird", "engine")


def latent(weights: str, sampler: str, steps: int, **more: float) -> tuple[str, dict[str, object]]:
    """Role and settings of a generator variant."""
    return "generator", {
        "kind": "latent",
        "weights": f"tiny/{weights}",
        "sampler": sampler,
        "steps": steps,
        **more,
    }


SYSTEMS = {
    "recordings": ("ceiling", {}),
    "shuffled": ("floor", {}),
    "reference-50": latent("reference", "euler", 50, guidance=4.0),
    "reference-8": latent("reference", "euler", 8, guidance=4.0),
    "reference-4": latent("reference", "euler", 4, guidance=4.0),
    "distilled-8": latent("distilled", "pingpong", 8),
    "arc-8": latent("arc", "pingpong", 8),
    "arc-4": latent("arc", "pingpong", 4),
    "arc-1": latent("arc", "pingpong", 1),
}
QUALITY = {
    "recordings": 0.96, "shuffled": 0.07, "reference-50": 0.83, "reference-8": 0.62, "reference-4": 0.41,
    "distilled-8": 0.76, "arc-8": 0.8, "arc-4": 0.74, "arc-1": 0.6,
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What a Run folder is to hold; every number follows from it."""

    systems: tuple[str, ...] = ("recordings", "shuffled", "reference-8", "arc-8", "arc-4")
    prompts: int = 8
    takes: int = 2
    seed: int = 0
    gain: Mapping[str, float] = field(default_factory=dict)
    """Added to a system's per-clip scores; fd falls by a hundred times as much."""
    slower: Mapping[str, float] = field(default_factory=dict)
    """Factor on a system's latency."""
    texts: Mapping[int, str] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(system, metric) to reason."""
    machine: Machine = MACHINE
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: FINGERPRINTS)
    prompts_digest: str = "d" * 64
    reference_digest: str = "f" * 64
    recordings_digest: str = "a" * 64
    metric_settings: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: METRIC_SETTINGS)
    stages: Mapping[str, str] = field(
        default_factory=lambda: {"generate": "done", "score": "done", "bench": "done"}
    )
    gates: Sequence[Mapping[str, object]] = ()
    seconds: float = 0.3
    trials: int = 8
    audio: bool = True


def write_run(folder: Path, recipe: Recipe | None = None, **changes: object) -> Path:
    """Writes `folder` as a Run; the same recipe gives the same bytes."""
    recipe = replace(recipe or Recipe(), **changes)
    folder.mkdir(parents=True)
    scores = _scores(recipe)
    run = Run(
        suite={
            "name": "test",
            "takes": recipe.takes,
            "prompts": {"kind": "synthetic", "split": "test"},
            "generators": {name: SYSTEMS[name][1] for name in recipe.systems if SYSTEMS[name][1]},
            "gates": list(recipe.gates),
        },
        suite_digest="5" * 64,
        prompts_digest=recipe.prompts_digest,
        created="2026-01-02T03:04:05Z",
        seed=7,
        machine=recipe.machine,
        versions={"arc_eval": "0.1.0", "torch": "2.13.0"},
        git={"commit": "abc123", "dirty": False},
        command=("arc-eval", "run", "quickstart"),
        fingerprints=recipe.fingerprints,
        stages=recipe.stages,
        reference_digest=recipe.reference_digest,
        recordings_digest=recipe.recordings_digest,
        metric_settings=recipe.metric_settings,
        systems=tuple(_system(name, recipe, scores) for name in recipe.systems),
    )
    (folder / "run.json").write_text(run.to_json(), "utf-8")
    _parquet(folder / "clips.parquet", CLIP_COLUMNS, _clips(folder, recipe), "clips")
    _parquet(folder / "scores.parquet", SCORE_COLUMNS, scores, "scores")
    _parquet(folder / "trials.parquet", TRIAL_COLUMNS, _trials(recipe), "trials")
    return folder


def latency(name: str, recipe: Recipe) -> float:
    """Seconds for one call: 0.05 and 0.02 a step, twice as much a step under guidance."""
    settings = SYSTEMS[name][1]
    step = 0.04 if "guidance" in settings else 0.02
    return (0.05 + step * settings["steps"]) * recipe.slower.get(name, 1.0)


def _system(name: str, recipe: Recipe, scores: Sequence[tuple]) -> System:
    role, settings = SYSTEMS[name]
    planned = recipe.prompts * recipe.takes
    counts = Counts(planned, planned, planned)
    quality = QUALITY[name] + recipe.gain.get(name, 0.0)

    def measured(metric: str, value: float, unit: str, direction: str, half: float) -> Measurement:
        interval = Interval(value - half, value + half, 0.95, "test")
        return Measurement(metric, value, unit, direction, counts, interval)

    def mean(metric: str) -> Measurement:
        own = [row[5] for row in scores if row[0] == name and row[1] == metric]
        return measured(metric, math.fsum(own) / len(own), "", "higher", 0.03)

    results: list[Result] = [
        measured("fd[tiny-clap]", 100 * (1 - quality) + 3, "", "lower", 1.5),
        measured("kl[tiny-tagger]", 3 * (1 - quality), "nat", "lower", 0.1),
        mean("clap[tiny-clap]"),
        mean("recognition[tiny-tagger]"),
        measured("ccds[tiny-clap]", 0.4 - 0.1 * quality, "", "higher", 0.02),
        Measurement(
            "level[health]", -20 - quality, "dBFS", "target", counts, None, "too few prompts for an interval"
        ),
    ]
    if role == "generator":
        seconds = latency(name, recipe)
        timed = Counts(recipe.trials, recipe.trials, recipe.trials)
        around = Interval(seconds * 0.98, seconds * 1.02, 0.98, "order statistics")
        results += [
            Measurement("latency_p50", seconds, "s", "lower", timed, around),
            Measurement(
                "rtf", recipe.seconds / seconds, "x", "higher", timed, None, "follows from latency_p50"
            ),
            Measurement("peak_memory", 410.0, "MB", "lower", timed, None, "one process"),
        ]
    results = [
        Failure(r.metric, recipe.failures[name, r.metric], r.counts)
        if (name, r.metric) in recipe.failures
        else r
        for r in results
    ]
    lineage = {"recipe": "arc", "steps": 1000, "parent": "f00d"} if role == "generator" else {}
    return System(name, role, settings, {"weights": "abcd"} if settings else {}, lineage, tuple(results))


def _text(index: int, recipe: Recipe) -> str:
    return recipe.texts.get(index, f"a bright {CLASSES[index % len(CLASSES)]} on the left, number {index}")


def _tags(index: int) -> list[str]:
    first = CLASSES[index % len(CLASSES)]
    return [first, CLASSES[(index + 1) % len(CLASSES)]] if index % 3 == 2 else [first]


def _scores(recipe: Recipe) -> list[tuple]:
    rows = []
    for name in recipe.systems:
        # The same stream for every system and Run: differences between them are the gains alone.
        rng = np.random.default_rng(recipe.seed)
        quality = QUALITY[name] + recipe.gain.get(name, 0.0)
        for index in range(recipe.prompts):
            hard = rng.normal(0, 0.1)
            for take in range(recipe.takes):
                noise, hit = rng.normal(0, 0.02), rng.uniform()
                place = (f"test-{index:06d}#{take}", f"test-{index:06d}", take)
                rows.append((name, "clap[tiny-clap]", *place, float(0.6 * quality + hard + noise)))
                rows.append((name, "recognition[tiny-tagger]", *place, float(hit < quality)))
    return rows


def _clips(folder: Path, recipe: Recipe) -> list[tuple]:
    (folder / "audio").mkdir()
    rows = []
    for number, name in enumerate(recipe.systems):
        for index in range(recipe.prompts):
            for take in range(recipe.takes):
                key = f"{number:02d}{index:04d}{take:02d}"
                path = f"audio/{key}.flac"
                if recipe.audio and take == 0:
                    soundfile.write(folder / path, sound(index, number, recipe.seconds), 44100, "PCM_24")
                prompt = f"test-{index:06d}"
                what = (_text(index, recipe), "|".join(_tags(index)), take, 1000 + index)
                heard = (recipe.seconds, 0.5, -20.0, 0.0, 0.0, 0.0)
                rows.append((name, f"{prompt}#{take}", prompt, *what, key, path, key, *heard, "ok", "", ""))
    return rows


def sound(index: int, number: int, seconds: float) -> np.ndarray:
    """float32[time, 2]: a decaying chirp, another for each prompt and system."""
    time = np.arange(round(seconds * 44100)) / 44100
    rng = np.random.default_rng([index, number])
    base = 220 * 2 ** (index / 4)
    tone = np.sin(2 * np.pi * (base * time + 300 * (number + 1) * time**2)) * np.exp(-2 * time / seconds)
    noise = rng.normal(0, 0.02, (len(time), 2))
    return (0.4 * tone[:, None] * [1.0, 0.6] + noise).astype(np.float32)


def _trials(recipe: Recipe) -> list[tuple]:
    rows = []
    for name in recipe.systems:
        role, settings = SYSTEMS[name]
        if role != "generator":
            continue
        total = latency(name, recipe)
        step = (total - 0.05 * recipe.slower.get(name, 1.0)) / settings["steps"]
        for trial in range(recipe.trials):
            place = (name, trial, "test-000000")
            wobble = 1 + 0.01 * math.sin(trial)
            rows.append((*place, "total", 0, total * wobble, total, 410_000_000))
            rows.append((*place, "text", 0, 0.004 * wobble, 0.004, 0))
            rows += [(*place, "step", i, step * wobble, step, 0) for i in range(settings["steps"])]
            rows.append((*place, "decode", 0, 0.04 * wobble, 0.04, 0))
    return rows


_TYPES = {
    "clips": "VARCHAR," * 5 + "INT,BIGINT," + "VARCHAR," * 3 + "DOUBLE," * 6 + "VARCHAR,VARCHAR,VARCHAR",
    "scores": "VARCHAR,VARCHAR,VARCHAR,VARCHAR,INT,DOUBLE",
    "trials": "VARCHAR,INT,VARCHAR,VARCHAR,INT,DOUBLE,DOUBLE,BIGINT",
}


def _parquet(path: Path, columns: Sequence[str], rows: Sequence[tuple], name: str) -> None:
    import pandas

    types = zip(columns, _TYPES[name].split(","), strict=True)
    casts = ", ".join(f'"{column}"::{kind} AS "{column}"' for column, kind in types)
    with duckdb.connect() as connection:
        connection.register("rows", pandas.DataFrame(rows, columns=list(columns)))
        connection.execute(f"COPY (SELECT {casts} FROM rows) TO '{path}' (FORMAT parquet)")
