"""The first stage: prompts and seeds to clips in the store. What is there already is not made again.

A clip is published as soon as it exists. One that fails alone becomes a row with its reason: it is
never dropped, never replaced, and never takes its batch with it.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from arc_eval.contracts import Generator, Progress, Recorded
from arc_eval.errors import ArcEvalError, StoreError
from arc_eval.pipeline.clips import StoredClip, find_clip, keep_clip
from arc_eval.pipeline.plan import Job, PlannedSystem
from arc_eval.pipeline.pool import Pool, batches, built
from arc_eval.store import Store
from arc_eval.suite import Part

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a planned clip: the clip, or the reason why there is none."""

    job: Job
    clip: StoredClip | None
    reason: str = ""


def generate(
    system: PlannedSystem, store: Store, pool: Pool, progress: Progress, *, batch: int
) -> tuple[Outcome, ...]:
    """Every planned clip of a system, in planned order; `batch` clips are handed to the generator at a time.

    Raises StoreError if the disk refuses: clips published before stay.
    """
    known = {job.key: find_clip(store, job.key) for job in system.jobs if job.key}
    # Each key once: captions of one recording share it.
    wanted = list({job.key: job for job in system.jobs if job.key and known[job.key] is None}.values())
    made: dict[str, Outcome] = {}
    if wanted:
        with progress(f"generate {system.name}", len(wanted)) as advance:
            for outcomes in pool.each(partial(_make, system.part, store.root), batches(wanted, batch)):
                made |= {outcome.job.key: outcome for outcome in outcomes}
                advance(len(outcomes))
    return tuple(_outcome(job, known.get(job.key), made) for job in system.jobs)


def _outcome(job: Job, known: StoredClip | None, made: dict[str, Outcome]) -> Outcome:
    if known is not None:
        return Outcome(job, known)
    if job.key in made:
        return Outcome(job, made[job.key].clip, made[job.key].reason)
    return Outcome(job, None, job.missing)


def _make(part: Part, root: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Makes and publishes a batch; if that fails, each clip by itself."""
    store, source = Store(root), built(part)
    try:
        return [_keep(store, job, samples, source.sample_rate) for job, samples in _samples(source, jobs)]
    except StoreError:
        raise
    except Exception as error:  # a stranger's plug-in may raise anything; one clip must not end the run
        if len(jobs) == 1:
            return [_failed(jobs[0], error)]
    return [outcome for job in jobs for outcome in _make(part, root, [job])]


def _failed(job: Job, error: Exception) -> Outcome:
    """The row of a clip that failed by itself. What nobody foresaw is logged with its traceback."""
    foreseen = isinstance(error, ArcEvalError)
    reason = str(error) if foreseen else f"{type(error).__name__}: {error}"
    log.warning("%s: failed: %s", job.clip, reason, exc_info=not foreseen)
    return Outcome(job, None, reason)


def _samples(source: Generator | Recorded, jobs: Sequence[Job]) -> Iterator[tuple[Job, Tensor]]:
    if isinstance(source, Recorded):
        for job in jobs:
            yield job, source.recording(job.prompt, job.take)
    else:
        audio = source.generate([job.prompt for job in jobs], [job.seed for job in jobs])
        yield from zip(jobs, audio, strict=True)


def _keep(store: Store, job: Job, samples: Tensor, sample_rate: int) -> Outcome:
    return Outcome(job, keep_clip(store, job.key, samples, sample_rate))
