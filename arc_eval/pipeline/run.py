"""A suite to a Run: canaries, generate, extract, score, bench, each reading what the one before left on disk.

Killed at any moment and started again, it goes on from there and ends in the same results. What
could not be made or measured is in the Run, with its reason; nothing is left out in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arc_eval.contracts import Progress, silent
from arc_eval.pipeline import tables
from arc_eval.pipeline.bench import time_systems
from arc_eval.pipeline.canaries import listen
from arc_eval.pipeline.described import DescribedRun, describe_all
from arc_eval.pipeline.draft import Draft
from arc_eval.pipeline.folder import opened
from arc_eval.pipeline.generate import Outcome, generate
from arc_eval.pipeline.items import Item, clip_items, paired_items
from arc_eval.pipeline.kept import require_equal_ears
from arc_eval.pipeline.plan import PlannedSystem, chosen_prompts, planned
from arc_eval.pipeline.pool import Pool
from arc_eval.pipeline.score import Scores, score
from arc_eval.records.measurement import Result
from arc_eval.records.prompt import Prompt
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Part, Suite

Outcomes = Mapping[str, Sequence[Outcome]]
"""System name to what became of its clips."""


def run(
    suite: Suite,
    out: Path,
    *,
    store: Store,
    device: str | None = None,
    workers: int = 1,
    limit: int | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Evaluates a suite and writes its Run folder; what store and folder hold already is not repeated.

    device: where the networks run; by default where the suite says.
    workers: processes that generate and extract, one thread each; their number changes no result.
    limit: only the first prompts. A loss beyond the suite's `allowed_losses`, a clip that could not be
    described or a failed measurement shows in `stages` and `results`; the Run is written all the same.
    Raises SuiteError, DataError or CheckpointError before anything is computed, RunError if `out` is
    in use or something else, StoreError for a full disk.
    """
    prompts = chosen_prompts(suite.prompts.build(), limit)
    with opened(out) as folder:
        # Planned first: a suite that cannot be run leaves the folder's older Run as it was.
        systems = planned(suite, prompts, device)
        stages = ("canaries", "generate", "extract", "score", *(["bench"] if suite.bench else []))
        draft = Draft.begin(suite, prompts, systems, stages, folder, device, command)
        extractors = {name: part.placed(device) for name, part in suite.extractors.items()}
        evaluation = _Evaluation(suite, prompts, systems, extractors, draft, store, progress)
        # Workers are gone before anything is timed.
        with Pool(workers) as pool:
            # First: a metric that means nothing is known before hours of generation.
            blocked = evaluation.canaries(pool)
            outcomes = evaluation.generate(pool)
            described = evaluation.extract(outcomes, pool)
        results = evaluation.score(outcomes, described, blocked)
        if suite.bench is not None:
            evaluation.bench(results, device)
        return draft.run


@dataclass(frozen=True)
class _Evaluation:
    """One suite on its way through the stages; each stage leaves its part of the Run folder behind."""

    suite: Suite
    prompts: Sequence[Prompt]
    systems: Sequence[PlannedSystem]
    extractors: Mapping[str, Part]
    """On the devices where they run."""
    draft: Draft
    store: Store
    progress: Progress

    def canaries(self, pool: Pool) -> Mapping[str, str]:
        """Name and reason of each metric that does not know good from bad."""
        with self.draft.stage("canaries"):
            require_equal_ears(self.suite, self.extractors)
            heard = listen(self.suite, self.extractors, self.store, pool, self.progress)
            self.draft.warned(heard.values)
        return heard.blocked

    def generate(self, pool: Pool) -> Outcomes:
        """Clips of every system, `audio/` and `clips.parquet`."""
        with self.draft.stage("generate") as problems:
            outcomes = {
                system.name: generate(system, self.store, pool, self.progress, batch=self.suite.takes)
                for system in self.systems
            }
            folder = self.draft.folder
            folder.place_audio(o.clip for made in outcomes.values() for o in made if o.clip)
            tables.write_clips(folder.path, outcomes)
            problems += _losses(outcomes, self.suite.allowed_losses)
        return outcomes

    def extract(self, outcomes: Outcomes, pool: Pool) -> DescribedRun:
        """What every extractor says of everything."""
        with self.draft.stage("extract") as problems:
            paired = self._paired(outcomes)
            described = describe_all(
                self.suite,
                self.extractors,
                self.prompts,
                outcomes,
                paired,
                self.store,
                pool,
                self.progress,
            )
            problems += described.problems
            self.draft.judged_by(described)
        return described

    def _paired(self, outcomes: Outcomes) -> list[Item]:
        """Recordings of the suite's own prompts: the ceiling's clips, else straight from their source."""
        for system in self.systems:
            if system.role == "ceiling":
                return clip_items(outcomes[system.name])
        return paired_items(self.suite.recordings or self.suite.prompts, self.prompts, self.suite.takes)

    def score(
        self, outcomes: Outcomes, described: DescribedRun, blocked: Mapping[str, str]
    ) -> Mapping[str, list[Result]]:
        """Every metric of every system, by system name, `scores.parquet` and `influence.parquet`."""
        scores: dict[str, list[Scores]] = {}
        with self.draft.stage("score"), self.progress("score", len(self.systems)) as advance:
            for system in self.systems:
                scores[system.name] = score(
                    self.suite, outcomes[system.name], system.name, described, self.store, blocked
                )
                advance(1)
            tables.write_scores(self.draft.folder.path, scores)
            tables.write_influence(self.draft.folder.path, scores)
            results = {
                name: [result for metric in found for result in metric.results]
                for name, found in scores.items()
            }
            settings = {
                result.metric: metric.settings
                for found in scores.values()
                for metric in found
                for result in metric.results
            }
            self.draft.found(results, settings)
        return results

    def bench(self, results: Mapping[str, list[Result]], device: str | None) -> None:
        """Speed of every generator, beside its other results, and `trials.parquet`."""
        with self.draft.stage("bench"):
            folder, machine = self.draft.folder, self.draft.run.machine
            timed = time_systems(
                self.suite, self.systems, self.prompts, folder, machine, device, self.progress
            )
            tables.write_trials(folder.path, timed)
            speed = {name: taken.results() for name, taken in timed.items()}
            both = {name: [*found, *speed.get(name, ())] for name, found in results.items()}
            self.draft.found(both)


def _losses(outcomes: Outcomes, allowed: int) -> Iterator[str]:
    """A line for each system that lost clips, if all together lost more than the suite allows."""
    lost = {name: [o for o in made if o.clip is None] for name, made in outcomes.items()}
    if sum(map(len, lost.values())) <= allowed:
        return
    for name, failed in lost.items():
        if failed:
            first = failed[0]
            count = f"{len(failed)} of {len(outcomes[name])} clips failed"
            yield f"{name}: {count}; {first.job.clip}: {first.reason}"
