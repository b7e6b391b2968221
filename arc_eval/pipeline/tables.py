"""The Parquet tables of a Run folder, written by DuckDB: no other Parquet library is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arc_eval.records.run import CLIP_COLUMNS, SCORE_COLUMNS, TRIAL_COLUMNS
from arc_eval.store import publish

_INTEGERS = {"take", "seed", "trial", "index", "peak_bytes"}
_NUMBERS = {
    "seconds", "peak", "rms_db", "clipping", "silence", "nan", "score", "cpu_seconds",
}  # fmt: skip


def write_clips(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """`clips.parquet`. Raises StoreError if the disk refuses."""
    write_table(folder / "clips.parquet", CLIP_COLUMNS, rows)


def write_scores(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """`scores.parquet`. Raises StoreError if the disk refuses."""
    write_table(folder / "scores.parquet", SCORE_COLUMNS, rows)


def write_trials(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """`trials.parquet`. Raises StoreError if the disk refuses."""
    write_table(folder / "trials.parquet", TRIAL_COLUMNS, rows)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Rows by column name, typed by column whatever the rows hold (there may be none); None is NULL."""
    import duckdb
    import pandas as pd

    frame = pd.DataFrame(
        {column: pd.Series([row[column] for row in rows], dtype=object) for column in columns}
    )
    typed = ", ".join(f'CAST("{column}" AS {_type(column)}) AS "{column}"' for column in columns)

    def write(partial: Path) -> None:
        with duckdb.connect() as connection:
            connection.register("rows", frame)
            target = str(partial).replace("'", "''")
            try:
                connection.execute(f"COPY (SELECT {typed} FROM rows) TO '{target}' (FORMAT parquet)")
            except duckdb.IOException as error:
                raise OSError(str(error)) from error

    publish(path, write)


def _type(column: str) -> str:
    return "BIGINT" if column in _INTEGERS else "DOUBLE" if column in _NUMBERS else "VARCHAR"
