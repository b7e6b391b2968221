"""Raw trials of a system: the calls as they were timed, their rows and their results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from arc_eval.pipeline.speed import speed_results
from arc_eval.records.measurement import Failure, Result

Trial = dict[str, Any]
"""prompt, seconds, cpu_seconds, peak_bytes, audio_seconds, and stages as [name, seconds] in order."""


@dataclass(frozen=True)
class Timed:
    """Raw trials of a system, or why there are none."""

    trials: tuple[Trial, ...]
    reason: str = ""

    def results(self) -> tuple[Result, ...]:
        """Latency, stages, real-time factor and memory; a Failure if nothing was timed."""
        return speed_results(self.trials) if self.trials else (Failure("latency_p50", self.reason),)

    def rows(self, system: str) -> Iterator[Trial]:
        """The rows of trials.parquet: the whole call, then each stage in it."""
        for number, trial in enumerate(self.trials):
            common = {"system": system, "trial": number, "prompt": trial["prompt"]}
            spent = {"cpu_seconds": trial["cpu_seconds"], "peak_bytes": trial["peak_bytes"]}
            yield {**common, **spent, "stage": "total", "index": 0, "seconds": trial["seconds"]}
            seen: dict[str, int] = {}
            for stage, seconds in trial["stages"]:
                index = seen[stage] = seen.get(stage, -1) + 1
                unknown = {"cpu_seconds": None, "peak_bytes": None}
                yield {**common, **unknown, "stage": stage, "index": index, "seconds": seconds}
