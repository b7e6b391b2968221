"""A Run folder while it is being filled: one writer at a time, and readable at any moment.

`run.json` names the state of each stage; the tables and `audio/` lie beside it. Raw trials are kept
in `trials/`, one file for each timed system: a time belongs to the Run that took it, so it is
never in the store.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from arc_eval.errors import RunError
from arc_eval.lock import LOCK, only_writer
from arc_eval.pipeline.clips import StoredClip
from arc_eval.records.run import Run
from arc_eval.store import digest_of, file_digest, publish, publish_bytes

AUDIO, TRIALS = "audio", "trials"
TABLES = ("clips.parquet", "scores.parquet", "influence.parquet", "trials.parquet")


class RunFolder:
    """What a Run writes and where."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, run: Run) -> None:
        """Publishes run.json. Raises StoreError."""
        publish_bytes(self.path / "run.json", run.to_json().encode())

    def forget_tables(self) -> None:
        """Takes away tables that belong to another suite's results."""
        for name in TABLES:
            (self.path / name).unlink(missing_ok=True)

    def place_audio(self, clips: Iterable[StoredClip]) -> None:
        """Makes `audio/` hold exactly these clips, by key: linked to the store, or copied."""
        folder = self.path / AUDIO
        present = {path.name for path in folder.glob("*")} if folder.is_dir() else set()
        wanted = {clip.path.name: clip.path for clip in clips}
        for name in present - wanted.keys():
            (folder / name).unlink()
        for name, source in wanted.items():
            if name not in present or not _same_content(folder / name, source):
                publish(folder / name, partial(_link, source))

    def read_trials(self, key: str) -> Any | None:
        """The raw trials under a key, if this Run has taken them whole."""
        try:
            entry = json.loads((self.path / TRIALS / f"{key}.json").read_bytes())
            return entry["trials"] if entry["sha256"] == digest_of(entry["trials"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_trials(self, key: str, trials: Sequence[Mapping[str, Any]]) -> None:
        """Publishes raw trials. Raises StoreError."""
        entry = {"sha256": digest_of(trials), "trials": trials}
        publish_bytes(self.path / TRIALS / f"{key}.json", json.dumps(entry).encode())

    def keep_trials(self, keys: Sequence[str]) -> None:
        """Takes away trials of systems that the Run no longer has."""
        for path in (self.path / TRIALS).glob("*.json"):
            if path.stem not in keys:
                path.unlink()


@contextmanager
def opened(path: Path) -> Iterator[RunFolder]:
    """A Run folder to write, made if need be, for this process alone until it is left.

    Raises RunError if another process writes it, or if it holds something that is not a Run.
    """
    if (
        path.is_dir()
        and not (path / LOCK).exists()
        and not (path / "run.json").exists()
        and any(path.iterdir())
    ):
        raise RunError(f"{path}: not empty and not a Run folder; choose another with --out")
    with only_writer(path, "Run", RunError):
        yield RunFolder(path)


def _same_content(path: Path, source: Path) -> bool:
    return path.samefile(source) or file_digest(path) == file_digest(source)


def _link(source: Path, target: Path) -> None:
    with suppress(OSError):  # another disk, or one without hard links
        os.link(source, target)
        return
    target.write_bytes(source.read_bytes())
