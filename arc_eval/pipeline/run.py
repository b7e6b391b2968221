"""A suite to a Run: generate, extract, score, bench, each reading what the one before left on disk.

Killed at any moment and started again, it goes on from there and ends in the same results. What
could not be made or measured is in the Run, with its reason; nothing is left out in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from arc_eval.contracts import Progress, silent
from arc_eval.pipeline import tables
from arc_eval.pipeline.bench import time_systems
from arc_eval.pipeline.described import describe_all
from arc_eval.pipeline.draft import Draft
from arc_eval.pipeline.folder import AUDIO, opened
from arc_eval.pipeline.generate import Outcome, generate
from arc_eval.pipeline.plan import PlannedSystem, chosen_prompts, planned, recordings
from arc_eval.pipeline.pool import Pool
from arc_eval.pipeline.score import Scores, score
from arc_eval.records.run import Run
from arc_eval.store import Store
from arc_eval.suite import Suite

Row = dict[str, Any]


def run(
    suite: Suite,
    out: Path,
    *,
    store: Store,
    device: str = "cpu",
    workers: int = 1,
    limit: int | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Evaluates a suite and writes its Run folder; what store and folder hold already is not repeated.

    workers: processes that generate and extract, one thread each; their number changes no result.
    limit: only the first prompts. A loss beyond the suite's `allowed_losses`, a clip that could not be
    described or a failed measurement shows in `stages` and `results`; the Run is written all the same.
    Raises SuiteError, DataError or CheckpointError before anything is computed, RunError if `out` is
    in use or something else, StoreError for a full disk.
    """
    prompts = chosen_prompts(suite.prompts.build(), limit)
    with opened(out) as folder, Pool(workers) as pool:
        draft = Draft.begin(suite, prompts, folder, device, command)
        systems = planned(suite, prompts, device)
        draft.plan(systems)
        with draft.stage("generate") as problems:
            outcomes = {s.name: generate(s, store, pool, progress, batch=suite.takes) for s in systems}
            real = recordings(suite, prompts)
            paired = generate(real, store, pool, progress, batch=suite.takes) if real else ()
            folder.place_audio([o.clip for made in outcomes.values() for o in made if o.clip])
            tables.write_clips(folder.path, [row for s in systems for row in _clip_rows(s, outcomes[s.name])])
            problems += _losses(outcomes, suite.allowed_losses)
        with draft.stage("extract") as problems:
            described = describe_all(suite, prompts, outcomes, paired, store, pool, progress)
            problems += described.problems
        with draft.stage("score"), progress("score", len(systems)) as advance:
            scores: dict[str, list[Scores]] = {}
            for system in systems:
                scores[system.name] = score(suite, outcomes[system.name], system.name, described, store)
                advance(1)
            tables.write_scores(
                folder.path, [row for s in systems for row in _score_rows(s.name, scores[s.name])]
            )
            results = {
                name: [r for metric in found for r in metric.results] for name, found in scores.items()
            }
            draft.found(results, described.fingerprints)
        if suite.bench is not None:
            with draft.stage("bench"):
                timed = time_systems(suite, systems, prompts, folder, draft.run.machine, device, progress)
                tables.write_trials(
                    folder.path, [row for name, taken in timed.items() for row in taken.rows(name)]
                )
                draft.found(
                    {
                        name: [*found, *(timed[name].results() if name in timed else ())]
                        for name, found in results.items()
                    },
                    described.fingerprints,
                )
        return draft.run


def _losses(outcomes: Mapping[str, Sequence[Outcome]], allowed: int) -> Iterator[str]:
    """A line for each system that lost clips, if all together lost more than the suite allows."""
    lost = {name: [o for o in made if o.clip is None] for name, made in outcomes.items()}
    if sum(map(len, lost.values())) <= allowed:
        return
    for name, failed in lost.items():
        if failed:
            first = failed[0]
            count = f"{len(failed)} of {len(outcomes[name])} clips failed"
            yield f"{name}: {count}; {first.job.clip}: {first.reason}"


def _clip_rows(system: PlannedSystem, outcomes: Sequence[Outcome]) -> Iterator[Row]:
    for outcome in outcomes:
        job, clip = outcome.job, outcome.clip
        facts = (
            vars(clip.facts)
            if clip
            else dict.fromkeys(("seconds", "peak", "rms_db", "clipping", "silence", "nan"))
        )
        yield {
            "system": system.name,
            "clip": job.clip,
            "prompt": job.prompt.id,
            "text": job.prompt.text,
            "tags": "|".join(job.prompt.tags),
            "take": job.take,
            "seed": job.seed,
            "key": job.key,
            "path": f"{AUDIO}/{clip.path.name}" if clip else "",
            "digest": clip.digest if clip else "",
            **facts,
            "status": "ok" if clip else "failed",
            "reason": outcome.reason,
        }


def _score_rows(system: str, scores: Sequence[Scores]) -> Iterator[Row]:
    for metric in scores:
        for clip, value in metric.clips.items():
            prompt, _, take = clip.rpartition("#")
            yield {
                "system": system,
                "metric": metric.name,
                "clip": clip,
                "prompt": prompt,
                "take": int(take),
                "score": value,
            }
