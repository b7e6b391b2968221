"""The Parquet tables of a Run folder as plain rows, in file order.

A table that was never written (the Run stopped earlier) reads as no rows; one that cannot be
understood is a RunError.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arc_eval.errors import RunError
from arc_eval.records.run import CLIP_COLUMNS, INFLUENCE_COLUMNS, SCORE_COLUMNS, TRIAL_COLUMNS


@dataclass(frozen=True)
class ClipRow:
    """One planned clip of one system; fields as in `CLIP_COLUMNS`."""

    system: str
    clip: str
    prompt: str
    text: str
    tags: str
    take: int
    seed: int
    key: str
    path: str
    digest: str
    seconds: float | None
    peak: float | None
    rms_db: float | None
    clipping: float | None
    silence: float | None
    nan: float | None
    status: str
    reason: str
    recording: str


@dataclass(frozen=True)
class ScoreRow:
    """One clip's score under one per-clip metric."""

    system: str
    metric: str
    clip: str
    prompt: str
    take: int
    score: float


@dataclass(frozen=True)
class InfluenceRow:
    """One unit's pull on one metric of the whole set."""

    system: str
    metric: str
    unit: str
    value: float


@dataclass(frozen=True)
class TrialRow:
    """One timed call (stage `total`) or one stage within it; seconds."""

    system: str
    trial: int
    prompt: str
    stage: str
    index: int
    seconds: float
    cpu_seconds: float | None
    peak_bytes: int | None


def read_clips(run: Path) -> list[ClipRow]:
    """`clips.parquet` of a Run folder."""
    return [ClipRow(*row) for row in _rows(run / "clips.parquet", CLIP_COLUMNS)]


def read_scores(run: Path) -> list[ScoreRow]:
    """`scores.parquet` of a Run folder."""
    return [ScoreRow(*row) for row in _rows(run / "scores.parquet", SCORE_COLUMNS)]


def read_influence(run: Path) -> list[InfluenceRow]:
    """`influence.parquet` of a Run folder."""
    return [InfluenceRow(*row) for row in _rows(run / "influence.parquet", INFLUENCE_COLUMNS)]


def read_trials(run: Path) -> list[TrialRow]:
    """`trials.parquet` of a Run folder."""
    return [TrialRow(*row) for row in _rows(run / "trials.parquet", TRIAL_COLUMNS)]


LATER = ("recording",)
"""Columns that tables of earlier versions lack; they read as empty."""


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    import duckdb

    if not path.exists():
        return []
    try:
        with duckdb.connect() as connection:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            absent = set(LATER) - {name for name, *_ in described}
            names = ", ".join(f"'' AS {name}" if name in absent else f'"{name}"' for name in columns)
            rows: list[tuple[Any, ...]] = connection.execute(
                f"SELECT {names} FROM read_parquet(?)", [str(path)]
            ).fetchall()
    except duckdb.Error as error:
        raise RunError(f"{path}: cannot be read as a Run's table: {error}") from error
    return rows
