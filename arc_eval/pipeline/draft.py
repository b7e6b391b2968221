"""A Run while it comes to be: what is known so far is on disk at every change of stage."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from arc_eval.errors import ArcEvalError, RunError
from arc_eval.pipeline import provenance
from arc_eval.pipeline.described import DescribedRun
from arc_eval.pipeline.folder import RunFolder
from arc_eval.pipeline.plan import PlannedSystem
from arc_eval.records.measurement import Result
from arc_eval.records.prompt import Prompt
from arc_eval.records.run import Run, System
from arc_eval.suite import Suite, prompts_digest


class Draft:
    """The Run as far as it is known; every change is published as a whole `run.json`."""

    def __init__(self, folder: RunFolder, run: Run) -> None:
        self.folder = folder
        self.run = run

    @classmethod
    def begin(
        cls,
        suite: Suite,
        prompts: Sequence[Prompt],
        systems: Sequence[PlannedSystem],
        stages: Sequence[str],
        folder: RunFolder,
        device: str | None,
        command: Sequence[str],
    ) -> "Draft":
        """Publishes a Run of these systems without results, every stage `waiting`; older tables go.

        What was measured before is in the store, under the key of everything that decided it: a result
        taken over from an older `run.json` could be of other weights or another reference.
        """
        run = Run(
            suite=suite.data(),
            suite_digest=suite.digest,
            prompts_digest=prompts_digest(prompts),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=suite.seed,
            machine=provenance.machine(suite, device or suite.device),
            versions=provenance.versions(),
            git=provenance.git_state(),
            command=tuple(command),
            fingerprints={},
            stages=dict.fromkeys(stages, "waiting"),
            systems=tuple(System(s.name, s.role, s.settings, s.identity, s.lineage) for s in systems),
        )
        before = _before(folder)
        if before is not None and _asks(before) == _asks(run):
            run = dataclasses.replace(run, created=before.created)
        # In this order: at no moment does a finished Run lie there without its tables.
        folder.write(run)
        folder.forget_tables()
        return cls(folder, run)

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """A stage from `running` to `done`, or to `failed: ...` with what is put into the list it yields."""
        problems: list[str] = []
        self._mark(name, "running")
        try:
            yield problems
        except ArcEvalError as error:
            self._mark(name, f"failed: {error}")
            raise
        self._mark(name, f"failed: {'; '.join(problems)}" if problems else "done")

    def judged_by(self, described: DescribedRun) -> None:
        """Takes over what every system is judged by: extractors, reference and recordings."""
        self.run = dataclasses.replace(
            self.run,
            fingerprints=described.fingerprints,
            reference_digest=described.reference_digest,
            recordings_digest=described.recordings_digest,
            missing=described.missing,
            remarks=described.remarks,
        )

    def warned(self, canaries: Mapping[str, Mapping[str, float]]) -> None:
        """Takes over what every metric said of the canaries."""
        self.run = dataclasses.replace(self.run, canaries=canaries)

    def found(
        self,
        results: Mapping[str, Sequence[Result]],
        metric_settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Takes over the results of every system, by name, and the settings behind each metric's name."""
        systems = (dataclasses.replace(s, results=tuple(results[s.name])) for s in self.run.systems)
        settings = {**self.run.metric_settings, **(metric_settings or {})}
        self.run = dataclasses.replace(self.run, systems=tuple(systems), metric_settings=settings)

    def _mark(self, stage: str, state: str) -> None:
        self.run = dataclasses.replace(self.run, stages={**self.run.stages, stage: state})
        self.folder.write(self.run)


def _before(folder: RunFolder) -> Run | None:
    try:
        return Run.read(folder.path)
    except RunError:
        return None


def _asks(run: Run) -> tuple[Any, ...]:
    return run.suite_digest, run.prompts_digest
