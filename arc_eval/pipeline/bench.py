"""How fast each generator is: timed calls in a process of its own, raw trials kept.

Systems take turns call by call, so a machine that slows down slows all of them. Every trial has its
own prompt, and warm-up calls are the measured call itself. A generator's process starts
with no other work and the target's number of threads; nothing timed is ever taken from the store.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from arc_eval.contracts import Generator, Progress, Target, silent
from arc_eval.errors import ArcEvalError, IncompleteError, SuiteError
from arc_eval.pipeline.draft import Draft
from arc_eval.pipeline.folder import RunFolder, opened
from arc_eval.pipeline.plan import PlannedSystem, chosen_prompts, planned
from arc_eval.pipeline.pool import deaf_children
from arc_eval.pipeline.tables import write_trials
from arc_eval.pipeline.trials import Timed, Trial
from arc_eval.records.prompt import Prompt
from arc_eval.records.run import Machine, Run
from arc_eval.seeding import clip_seed
from arc_eval.store import digest_of, source_digest
from arc_eval.suite import Bench, Part, Suite

log = logging.getLogger(__name__)


def time_systems(
    suite: Suite,
    systems: Sequence[PlannedSystem],
    prompts: Sequence[Prompt],
    folder: RunFolder,
    machine: Machine,
    device: str | None,
    progress: Progress,
) -> dict[str, Timed]:
    """Trials of every generator, by system name. Those this Run took before are read, not repeated."""
    bench = suite.bench
    timed = [system for system in systems if system.timed]
    if bench is None or not timed:
        return {}
    calls = list(_calls(bench, suite.seed, prompts))
    keys = {system.name: _key(system, bench, calls, machine) for system in timed}
    found = {name: folder.read_trials(key) for name, key in keys.items()}
    done = {name: Timed(tuple(trials)) for name, trials in found.items() if trials is not None}
    wanted = [system for system in timed if system.name not in done]
    target = bench.target.placed(device)
    for group in [wanted] if bench.interleave else [[system] for system in wanted]:
        for name, result in _take_turns(group, target, bench.warmup, calls, progress).items():
            done[name] = result
            if result.trials:
                folder.write_trials(keys[name], result.trials)
    folder.keep_trials(list(keys.values()))
    return done


Call = tuple[tuple[Prompt, ...], tuple[int, ...]]


def _calls(bench: Bench, seed: int, prompts: Sequence[Prompt]) -> Iterator[Call]:
    """The same calls for every system: each with the next prompts in line."""
    for number in range(bench.warmup + bench.trials):
        chosen = tuple(prompts[(number * bench.batch + i) % len(prompts)] for i in range(bench.batch))
        yield chosen, tuple(clip_seed(seed, prompt.id, 0) for prompt in chosen)


def _key(system: PlannedSystem, bench: Bench, calls: Sequence[Call], machine: Machine) -> str:
    """What a system's trials are taken for. Its name is part of it: an equal system has its own trials."""
    asked = [[[[p.id, p.text, p.seconds] for p in prompts], seeds] for prompts, seeds in calls]
    code = source_digest("arc_eval.targets", __name__)
    return digest_of([system.name, dict(system.identity), bench.data(), asked, vars(machine), code])


def _take_turns(
    systems: Sequence[PlannedSystem], target: Part, warmup: int, calls: Sequence[Call], progress: Progress
) -> dict[str, Timed]:
    """Times systems call by call, all processes alive at once."""
    if not systems:
        return {}
    trials: dict[str, list[Trial]] = {system.name: [] for system in systems}
    lost: dict[str, str] = {}
    with ExitStack() as stack, progress("bench", len(systems) * len(calls)) as advance:
        workers = {system.name: stack.enter_context(_Worker(target, system.part)) for system in systems}
        for name, worker in workers.items():
            _attempt(worker.wait, name, lost)
        for number, call in enumerate(calls):
            for name, worker in workers.items():
                if name not in lost:
                    trial = _attempt(partial(worker.run, call), name, lost)
                    if trial is not None and number >= warmup:
                        trials[name].append(trial)
                advance(1)
    return {name: Timed((), lost[name]) if name in lost else Timed(tuple(trials[name])) for name in trials}


def _attempt(act: Callable[[], Trial], name: str, lost: dict[str, str]) -> Trial | None:
    try:
        return act()
    except IncompleteError as error:
        log.warning("bench: %s: %s", name, error)
        lost[name] = str(error)
        return None


class _Worker:
    """A generator in a process of its own; ends with the block it is used in."""

    def __init__(self, target: Part, part: Part) -> None:
        context = get_context("spawn")
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, part), daemon=True)
        with deaf_children():
            self._process.start()
        theirs.close()

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.close()
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()

    def run(self, call: Call) -> Trial:
        """One timed call. Raises IncompleteError if the generator failed or its process died."""
        with suppress(OSError):  # it may be gone: listening finds out
            self._end.send(call)
        return self.wait()

    def wait(self) -> Trial:
        """The next answer. Raises IncompleteError."""
        try:
            answer: Trial = self._end.recv()
        except (EOFError, OSError):
            self._process.join(timeout=5)
            code = self._process.exitcode
            hint = "; was it killed for want of memory?" if code == -9 else ""
            raise IncompleteError(f"the timed process ended with exit code {code}{hint}") from None
        if "error" in answer:
            raise IncompleteError(answer["error"])
        return answer


def _serve(end: Connection, target_part: Part, part: Part) -> None:
    """What a timed process does: load, then answer each call with its reading, until nobody asks."""
    try:
        target: Target = target_part.build()
        generator = target.load(part.settings)
        end.send({})
        while True:
            prompts, seeds = end.recv()
            end.send(_timed(target, generator, prompts, seeds))
    except ArcEvalError as error:
        end.send({"error": str(error)})
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return  # the parent has all it wants, or is gone


def _timed(target: Target, generator: Generator, prompts: Sequence[Prompt], seeds: Sequence[int]) -> Trial:
    with target.meter() as reading:
        audio = generator.generate(prompts, seeds, stage=reading.stage)
    return {
        "prompt": prompts[0].id,
        "seconds": reading.seconds,
        "cpu_seconds": reading.cpu_seconds,
        "peak_bytes": reading.peak_bytes,
        "audio_seconds": sum(audio.lengths) / audio.sample_rate,
        "stages": [[name, seconds] for name, seconds in reading.stages],
    }


def bench(
    suite: Suite,
    out: Path,
    *,
    device: str | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Only the latency part of a suite, as a Run folder. Raises SuiteError if it has no `bench`."""
    if suite.bench is None:
        raise SuiteError(
            f"{suite.name}: nothing to time; add `bench: {{target: {{kind: local}}}}` to the suite"
        )
    prompts = chosen_prompts(suite.prompts.build(), None)
    with opened(out) as folder:
        systems = [system for system in planned(suite, prompts, device) if system.timed]
        draft = Draft.begin(suite, prompts, systems, ("bench",), folder, device, command)
        with draft.stage("bench"):
            timed = time_systems(suite, systems, prompts, folder, draft.run.machine, device, progress)
            write_trials(folder.path, timed)
            draft.found({name: taken.results() for name, taken in timed.items()})
        return draft.run
