"""The Parquet tables of a Run folder, written by DuckDB: no other Parquet library is needed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from arc_eval.pipeline.clips import Facts
from arc_eval.pipeline.folder import AUDIO
from arc_eval.pipeline.generate import Outcome
from arc_eval.pipeline.score import Scores
from arc_eval.pipeline.trials import Timed
from arc_eval.records.measurement import Measurement
from arc_eval.records.run import CLIP_COLUMNS, INFLUENCE_COLUMNS, SCORE_COLUMNS, TRIAL_COLUMNS
from arc_eval.store import publish

Row = Mapping[str, Any]

_INTEGERS = {"take", "seed", "trial", "index", "peak_bytes"}
_NUMBERS = {field.name for field in fields(Facts)} | {"score", "value", "cpu_seconds"}
_NO_FACTS = dict.fromkeys(field.name for field in fields(Facts))


def write_clips(folder: Path, outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """`clips.parquet`: every planned clip of every system. Raises StoreError if the disk refuses."""
    rows = [_clip_row(name, outcome) for name, made in outcomes.items() for outcome in made]
    write_table(folder / "clips.parquet", CLIP_COLUMNS, rows)


def write_scores(folder: Path, scores: Mapping[str, Sequence[Scores]]) -> None:
    """`scores.parquet`: every clip's score under every per-clip metric. Raises StoreError."""
    rows = [row for name, found in scores.items() for metric in found for row in _score_rows(name, metric)]
    write_table(folder / "scores.parquet", SCORE_COLUMNS, rows)


def write_influence(folder: Path, scores: Mapping[str, Sequence[Scores]]) -> None:
    """`influence.parquet`: each prompt's pull on metrics without scores of clips. Raises StoreError."""
    rows = [
        row for name, found in scores.items() for metric in found for row in _influence_rows(name, metric)
    ]
    write_table(folder / "influence.parquet", INFLUENCE_COLUMNS, rows)


def write_trials(folder: Path, timed: Mapping[str, Timed]) -> None:
    """`trials.parquet`: every timed call and every stage within it. Raises StoreError."""
    rows = [row for name, taken in timed.items() for row in taken.rows(name)]
    write_table(folder / "trials.parquet", TRIAL_COLUMNS, rows)


def _clip_row(system: str, outcome: Outcome) -> Row:
    job, clip = outcome.job, outcome.clip
    return {
        "system": system,
        "clip": job.clip,
        "prompt": job.prompt.id,
        "text": job.prompt.text,
        "tags": "|".join(job.prompt.tags),
        "take": job.take,
        "seed": job.seed,
        "key": job.key,
        "path": f"{AUDIO}/{clip.path.name}" if clip else "",
        "digest": clip.digest if clip else "",
        **(asdict(clip.facts) if clip else _NO_FACTS),
        "status": "ok" if clip else "failed",
        "reason": outcome.reason,
        "recording": job.prompt.recording,
    }


def _score_rows(system: str, metric: Scores) -> Iterator[Row]:
    for clip, value in metric.clips.items():
        prompt, _, take = clip.rpartition("#")
        names = {"system": system, "metric": metric.name, "clip": clip, "prompt": prompt}
        yield {**names, "take": int(take), "score": value}


def _influence_rows(system: str, metric: Scores) -> Iterator[Row]:
    for result in metric.results:
        if isinstance(result, Measurement) and not (metric.clips and result.metric == metric.name):
            for unit, value in result.influence.items():
                yield {"system": system, "metric": result.metric, "unit": unit, "value": value}


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Rows by column name, typed by column whatever the rows hold (there may be none); None is NULL."""
    import duckdb
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in columns})
    typed = ", ".join(f'CAST("{column}" AS {_type(column)}) AS "{column}"' for column in columns)

    def write(partial: Path) -> None:
        target = str(partial).replace("'", "''")
        with duckdb.connect() as connection:
            connection.register("rows", frame)
            try:
                connection.execute(f"COPY (SELECT {typed} FROM rows) TO '{target}' (FORMAT parquet)")
            except duckdb.IOException as error:
                raise OSError(str(error)) from error

    publish(path, write)


def _type(column: str) -> str:
    return "BIGINT" if column in _INTEGERS else "DOUBLE" if column in _NUMBERS else "VARCHAR"
