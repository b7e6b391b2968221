"""A Run while it comes to be: what is known so far is on disk at every change of stage."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from arc_eval.errors import ArcEvalError, RunError
from arc_eval.pipeline import provenance
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
        cls, suite: Suite, prompts: Sequence[Prompt], folder: RunFolder, device: str, command: Sequence[str]
    ) -> "Draft":
        """A Run without results, or with those that the folder holds of the same suite and prompts."""
        run = Run(
            suite=suite.data(),
            suite_digest=suite.digest,
            prompts_digest=prompts_digest(prompts),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=suite.seed,
            machine=provenance.machine(suite, device),
            versions=provenance.versions(),
            git=provenance.git_state(),
            command=tuple(command),
            fingerprints={},
            stages={},
            systems=(),
        )
        before = _before(folder)
        if before is not None and _asks(before) == _asks(run):
            run = dataclasses.replace(
                run, created=before.created, systems=before.systems, fingerprints=before.fingerprints
            )
        else:
            folder.forget_tables()
        return cls(folder, run)

    def plan(self, systems: Sequence[PlannedSystem]) -> None:
        """Takes over which systems there are; unchanged ones keep their results until measured again."""
        self.run = dataclasses.replace(self.run, systems=tuple(self._system(system) for system in systems))

    def _system(self, planned: PlannedSystem) -> System:
        new = System(planned.name, planned.role, planned.settings, planned.identity, planned.lineage)
        old = self.run.system(planned.name)
        return dataclasses.replace(new, results=old.results) if old and old.identity == new.identity else new

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

    def found(
        self, results: Mapping[str, Sequence[Result]], fingerprints: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Takes over the results of every system, by name."""
        systems = (dataclasses.replace(s, results=tuple(results[s.name])) for s in self.run.systems)
        self.run = dataclasses.replace(self.run, systems=tuple(systems), fingerprints=fingerprints)

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
