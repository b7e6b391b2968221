"""Prompts that are captions of one recording are one unit of every interval, and change no value but kd's."""

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval import registry
from arc_eval.contracts import Evidence, Metric
from arc_eval.metrics.evidence import Rows
from arc_eval.metrics.label_kl import label_divergence, levels_without_listening
from arc_eval.records.measurement import Measurement

METRICS: dict[str, dict[str, Any]] = {
    "frechet": {},
    "frechet_infinity": {},
    "sliced_wasserstein": {"directions": 8},
    "manifold": {"k": 2},
    "vendi": {},
    "inception": {},
    "diversity": {},
    "alignment": {},
    "label_kl": {},
}
PROMPTS, CAPTIONS = 60, 3


def both() -> tuple[Evidence, Evidence]:
    """The same rows, two of each prompt; in the second evidence three prompts share a recording."""
    owners = clip_ids(PROMPTS, 2)
    rows = normal(2 * PROMPTS, 3) + normal(PROMPTS, 3, seed=1).repeat_interleave(2, 0)
    found = evidence(
        rows,
        normal(50, 3, seed=2),
        owners=owners,
        text=normal(PROMPTS, 3, seed=3),
        paired=normal(120, 3, seed=4),
    )
    prompts = {
        name: replace(prompt, recording=f"r{index // CAPTIONS}")
        for index, (name, prompt) in enumerate(sorted(found.prompts.items()))
    }
    return found, replace(found, prompts=prompts)


def measured(kind: str, given: Evidence) -> dict[str, Measurement]:
    metric: Metric = registry.settings(
        "metrics", {"kind": kind, "extractor": EAR, **METRICS[kind]}, "x"
    ).build()
    return {result.metric: result for result in metric.measure(given)}


@pytest.mark.parametrize("kind", METRICS)
def test_recordings_are_the_units(kind: str):
    plain, captioned = (measured(kind, given) for given in both())
    # Other prompts' recordings are those of other recordings; a bias is of groups; blocks are dealt anew.
    moves = ("kl_chance", "fd_bias", "fad_inf")
    for name, result in captioned.items():
        assert result.value == pytest.approx(plain[name].value, rel=1e-12) or name.startswith(moves)
        for unit in result.influence:
            assert unit.startswith(("recording:r", "group:"))
        if result.influence and not name.startswith("fad_inf"):
            assert fmean(result.influence.values()) == pytest.approx(result.value, rel=1e-9)
        if interval := result.interval:
            assert interval.method.split(",")[0].endswith((" 20 recordings", "groups of prompts"))
            before = plain[name].interval
            assert before is not None and (before.low, before.high) != (interval.low, interval.high)


def test_the_chance_level_is_the_mean_over_recordings_of_other_units():
    logits = 2 * normal(20, 7, seed=5)
    rows = logits.repeat_interleave(CAPTIONS, 0)
    names = [f"p{index:03d}" for index in range(len(rows))]
    clusters = {name: f"recording:r{index // CAPTIONS}" for index, name in enumerate(names)}
    recorded = Rows(rows, tuple(f"{name}#0" for name in names), clusters)
    found = levels_without_listening(recorded, range(len(rows)))["kl_chance"]
    for index, name in enumerate(names):
        others = torch.cat([logits[: index // CAPTIONS], logits[index // CAPTIONS + 1 :]])
        expected = label_divergence(others, rows[index].expand_as(others)).mean()
        assert found[f"{name}#0"] == pytest.approx(float(expected), rel=1e-12)
