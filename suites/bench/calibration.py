"""How often nominal 95 % intervals hold: simulated comparisons of a system with itself (A/A).

    python suites/bench/calibration.py calibration.json

Each trial draws prompts anew and lets two systems that are one and the same make takes of each: what a
prompt is like is shared, what a take is like is not. The metrics of the package measure both from
embeddings, and `arc-eval compare` does what it does with two Runs. `difference` counts how often
the interval holds 0, which is the truth; `value` how often the interval of one system holds the mean
of all trials. Embeddings have 64 features of falling variance, half of it between prompts; the
reference lies elsewhere and is wider; label divergences have a long tail. Seeded; one thread.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from arc_eval.contracts import Evidence, Metric, PerClip
from arc_eval.gate import change
from arc_eval.metrics import alignment, diversity, frechet, kernel, label_kl, manifold, recognition
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts, Measurement
from arc_eval.records.prompt import Prompt

EAR, FEATURES, REFERENCE, CLASSES = "simulated", 64, 500, 16
SPREAD = np.exp(-np.arange(FEATURES) / 24)
"""Standard deviations of the features."""

Array = NDArray[np.float64]


def metrics(kinds: Sequence[str]) -> list[Metric]:
    """The metrics of these kinds, on the simulated extractor."""
    modules = {
        "frechet": frechet, "kernel": kernel, "manifold": manifold, "diversity": diversity,
        "alignment": alignment, "label_kl": label_kl, "recognition": recognition,
    }  # fmt: skip
    return [modules[kind].Settings(extractor=EAR).build() for kind in kinds]


@dataclass(frozen=True)
class Trial:
    """One draw of prompts, and what both systems and the recordings are like on them."""

    prompts: Array  # [prompt, feature]
    takes: int
    reference: Array  # [recording, feature]
    rng: np.random.Generator

    @classmethod
    def draw(cls, prompts: int, takes: int, seed: int) -> "Trial":
        """The reference is the same in every trial: intervals hold it fixed."""
        fixed, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
        reference = 0.2 + 1.25 * fixed.normal(size=(REFERENCE, FEATURES)) * SPREAD
        return cls(rng.normal(size=(prompts, FEATURES)) * SPREAD, takes, reference, rng)

    def system(self) -> Evidence:
        """What one system makes of the prompts; another call is the same system with other seeds."""
        count, takes = len(self.prompts), self.takes
        own = self.rng.normal(size=(count, takes, FEATURES)) * SPREAD
        clips = sqrt(0.5) * (self.prompts[:, None] + own)
        names = [f"p{index:04d}" for index in range(count)]
        owners = [f"{name}#{take}" for name in names for take in range(takes)]
        tags = [f"class {index % CLASSES}" for index in range(count)]
        return Evidence(
            prompts={name: Prompt(name, "", 1.0, (tag,)) for name, tag in zip(names, tags, strict=True)},
            generated=_rows(clips.reshape(-1, FEATURES), owners),
            reference=_rows(self.reference, [f"r{index}" for index in range(REFERENCE)]),
            text=_rows(self.prompts, names),
            counts=Counts(len(owners), len(owners), len(owners)),
        )

    def tagged(self) -> Evidence:
        """The same with a tagger's logits, which lean towards the prompt's class, more for easy prompts."""
        count = len(self.prompts)
        ease = 1.5 + 1.5 * self.prompts[:, :1]
        truth = np.eye(CLASSES)[np.arange(count) % CLASSES]
        noise = self.rng.normal(size=(count, self.takes, CLASSES))
        logits = (ease * truth)[:, None] + 1.2 * noise + self.prompts[:, None, 1 : CLASSES + 1]
        recordings = 4 * truth + self.prompts[:, 20 : 20 + CLASSES]
        base = self.system()
        names = list(base.prompts)
        return Evidence(
            prompts=base.prompts,
            generated=_rows(logits.reshape(-1, CLASSES), base.generated[EAR].owners),
            reference={},
            paired=_rows(recordings, [f"{name}#0" for name in names]),
            labels={EAR: tuple(f"class {index}" for index in range(CLASSES))},
            counts=base.counts,
        )


@dataclass
class Tally:
    """What the trials said of one result."""

    values: list[float] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    ends: list[tuple[float, float]] = field(default_factory=list)
    pairing: str = ""

    def coverage(self) -> dict[str, Any]:
        """Shares of intervals that hold the truth, and how wide they are beside the true spread."""
        truth = fmean(self.values)
        found: dict[str, Any] = {"trials": len(self.differences), "pairing": self.pairing, "mean": truth}
        found["difference"] = fmean(low <= 0 <= high for low, high in self.ends)
        found["difference_spread"] = float(np.std(self.differences))
        found["difference_half_width"] = fmean((high - low) / 2 for low, high in self.ends)
        if self.intervals:
            found["value"] = fmean(low <= truth <= high for low, high in self.intervals)
        return found


def simulate(prompts: int, takes: int, trials: int, kinds: Sequence[str]) -> dict[str, Tally]:
    """Result name to what `trials` comparisons said of it."""
    tallies: dict[str, Tally] = {}
    for seed in range(trials):
        trial = Trial.draw(prompts, takes, seed)
        for metric in metrics(kinds):
            of_labels = metric.name.startswith(("kl", "recognition"))
            sides = [trial.tagged() if of_labels else trial.system() for _ in range(2)]
            for name, a, found in _compared(metric, *sides):
                if found.interval is None:  # a level that no system decides, such as that of chance
                    assert found.value == 0, f"{name}: {found.no_interval}"
                    continue
                tally = tallies.setdefault(name, Tally())
                tally.values.append(a.value)
                tally.differences.append(found.value)
                tally.pairing = found.pairing
                tally.ends.append((found.interval.low, found.interval.high))
                if a.interval is not None:
                    tally.intervals.append((a.interval.low, a.interval.high))
    return tallies


def _compared(metric: Metric, a: Evidence, b: Evidence) -> Iterator[tuple[str, Measurement, change.Change]]:
    """What `arc-eval compare` makes of two Runs: every result that has an interval."""
    for left, right in zip(metric.measure(a), metric.measure(b), strict=True):
        if isinstance(metric, PerClip) and left.metric == metric.name:
            yield left.metric, left, change.paired(metric.scores(a), metric.scores(b))
        elif left.interval is not None:
            yield left.metric, left, change.linear(left, right, left.influence, right.influence)


def _rows(values: Array, owners: Sequence[str]) -> dict[str, Embedding]:
    return {EAR: Embedding(torch.from_numpy(values.astype(np.float32)), tuple(owners), {})}


MEASURED: Mapping[str, tuple[int, int, tuple[str, ...]]] = {
    "12 prompts": (12, 5, ("frechet", "kernel", "diversity", "alignment", "label_kl", "recognition")),
    "48 prompts": (48, 5, ("frechet", "kernel", "diversity", "alignment", "label_kl", "recognition")),
    "48 prompts, neighbourhoods": (48, 5, ("manifold",)),
    "200 prompts": (200, 5, ("frechet", "kernel", "diversity", "alignment", "label_kl", "recognition")),
}
"""Setting to its prompts, takes and metrics."""


def main() -> None:
    """Writes the coverage of every setting as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--settings", nargs="*", default=list(MEASURED), choices=list(MEASURED))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for setting in asked.settings:
        prompts, takes, kinds = MEASURED[setting]
        tallies = simulate(prompts, takes, asked.trials, kinds)
        found[setting] = {name: tally.coverage() for name, tally in tallies.items()}
        print(setting, json.dumps(found[setting], indent=1), flush=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
