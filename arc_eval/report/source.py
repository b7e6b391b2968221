"""The Runs that a report is about, read whole, and one label for each of their systems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from arc_eval.errors import RunError
from arc_eval.records.parquet import ClipRow, ScoreRow, TrialRow, read_clips, read_scores, read_trials
from arc_eval.records.run import Run, System


@dataclass(frozen=True)
class Source:
    """A Run folder and what it holds. `name` is unique in the report."""

    name: str
    folder: Path
    run: Run
    clips: tuple[ClipRow, ...]
    scores: tuple[ScoreRow, ...]
    trials: tuple[TrialRow, ...]

    @cached_property
    def clip_at(self) -> dict[tuple[str, str, int], ClipRow]:
        """Clips by system, prompt and take."""
        return {(row.system, row.prompt, row.take): row for row in self.clips}

    @cached_property
    def scores_of(self) -> dict[tuple[str, str], dict[str, float]]:
        """Scores of each clip, by metric; clips by system and clip id."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for row in self.scores:
            found.setdefault((row.system, row.clip), {})[row.metric] = row.score
        return found


@dataclass(frozen=True)
class Entry:
    """One row of the report: a system and the Run it comes from. `label` is unique in the report."""

    label: str
    source: Source
    system: System

    @property
    def settings(self) -> dict[str, str]:
        """The system's settings as text, nothing for what is not set."""
        return {key: str(value) for key, value in self.system.settings.items() if value is not None}

    @property
    def family(self) -> str:
        """What variants of one model share: their weights, or the name of a system that has none."""
        return self.weights.rsplit("/", 1)[-1] or self.system.name

    @property
    def weights(self) -> str:
        """Where the weights came from, a training's by its folder; nothing for a system without."""
        # `arc-eval train` writes FOLDER/model, and every training's last word would be "model".
        return self.settings.get("weights", "").rstrip("/").removesuffix("/model")


def read_sources(folders: Sequence[Path]) -> tuple[Source, ...]:
    """Reads Run folders, in order. Raises RunError for none, or for one that is not a Run."""
    if not folders:
        raise RunError("no Run to report; name at least one folder that `arc-eval run` wrote")
    names = _unique([folder.resolve().name for folder in folders])
    return tuple(_read(name, folder) for name, folder in zip(names, folders, strict=True))


def entries(sources: Sequence[Source]) -> tuple[Entry, ...]:
    """Every system, in order; labelled by its Run as well when there are several Runs."""
    return tuple(
        Entry(system.name if len(sources) == 1 else f"{source.name}/{system.name}", source, system)
        for source in sources
        for system in source.run.systems
    )


def _read(name: str, folder: Path) -> Source:
    run = Run.read(folder)
    return Source(
        name, folder, run, tuple(read_clips(folder)), tuple(read_scores(folder)), tuple(read_trials(folder))
    )


def _unique(names: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(names):
        before = names[:index].count(name)
        yield f"{name} ({before + 1})" if before else name
