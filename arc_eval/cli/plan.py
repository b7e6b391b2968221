"""What a suite would do: resolved to the last default and counted, with nothing run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from arc_eval.cli import show
from arc_eval.escape import console

if TYPE_CHECKING:
    from arc_eval.suite import Suite


@dataclass(frozen=True)
class Plan:
    """A resolved suite and how much work it asks for."""

    suite: dict[str, Any]
    digest: str
    counts: dict[str, int]
    systems: tuple["PlannedClips", ...]

    def show(self, as_json: bool) -> None:
        """Prints the suite as YAML, then the counts."""
        import yaml

        if as_json:
            show.as_json(self)
            return
        rows = [[row.name, row.role, str(row.clips), row.missing or "-"] for row in self.systems]
        typer.echo(console(yaml.safe_dump(self.suite, sort_keys=False, allow_unicode=True, width=110)) + "\n")
        typer.echo(console(show.columns([["system", "role", "clips", "missing"], *rows])) + "\n")
        typer.echo(show.columns([[what, str(count)] for what, count in self.counts.items()]))
        typer.echo(f"suite digest {self.digest}\nnothing was run")


@dataclass(frozen=True)
class PlannedClips:
    """One system, how many clips it is asked for, and those that cannot be had, with the first reason."""

    name: str
    role: str
    clips: int
    missing: str


def plan(suite: "Suite", limit: int | None = None, device: str | None = None) -> Plan:
    """Counts what `run` would do with the first `limit` prompts.

    Every data source and generator is built, so that a missing file or a bad checkpoint is found
    here: raises SuiteError, DataError or CheckpointError.
    """
    from arc_eval.pipeline.plan import chosen_prompts, planned
    from arc_eval.pipeline.recordings import obtainable, one_of_each

    reference = suite.reference.build()
    prompts = chosen_prompts(suite.prompts.build(), limit)
    systems = planned(suite, prompts, device)
    timed = sum(system.timed for system in systems)
    counts = {
        "prompts": len(prompts),
        "clips to generate": sum(len(system.jobs) for system in systems if system.timed),
        "clips to judge": sum(len(system.jobs) for system in systems),
        "reference recordings": len(one_of_each(obtainable(reference))) if reference.takes() else 0,
        "extractors": len(suite.extractors),
        "metrics": len(suite.metrics),
        "timed trials": timed * suite.bench.trials if suite.bench else 0,
    }
    rows = []
    for system in systems:
        reasons = [job.missing for job in system.jobs if job.missing]
        missing = f"{len(reasons)}: {reasons[0]}" if reasons else ""
        rows.append(PlannedClips(system.name, system.role, len(system.jobs), missing))
    return Plan(suite.data(), suite.digest, counts, tuple(rows))
