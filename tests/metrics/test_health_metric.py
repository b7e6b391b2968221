"""Signal health as measurements: from samples through the extractor to named results."""

import math

import pytest
import torch
from made_evidence import clip_ids, evidence, normal

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.extractors.health import Settings as Extractor
from arc_eval.metrics.health import Settings
from arc_eval.records.audio import AudioBatch
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts


def results_of(clips):
    ear = Extractor().build()
    rows = torch.cat(ear.embed(AudioBatch.of(clips, ear.sample_rate)))
    described = Embedding(rows, tuple(clip_ids(len(clips))), ear.fingerprint())
    found = Evidence({}, {"health": described}, {}, counts=Counts(len(clips), len(clips), 0))
    return {result.metric: result for result in Settings(extractor="health").build().measure(found)}


def test_results_are_means_over_clips_with_counts():
    results = results_of([torch.full((2, 1000), 0.5)] * 3 + [torch.zeros(2, 1000)] * 3)
    assert results["peak[health]"].value == 0.25
    assert results["silent[health]"].value == 0.5
    assert results["quiet[health]"].value == 0.5
    assert results["level[health]"].value == pytest.approx((20 * math.log10(0.5) - 144) / 2)
    assert all(result.counts == Counts(6, 6, 6) for result in results.values())


def test_a_fault_that_never_occurred_is_not_excluded():
    results = results_of([0.1 * normal(2, 1000, seed=seed).float() for seed in range(8)])
    for name in ("nan[health]", "silent[health]", "clipped[health]"):
        assert results[name].value == 0.0
        assert 0.0 == results[name].interval.low < results[name].interval.high < 0.5


def test_a_fact_that_is_no_share_has_no_interval_when_all_clips_agree():
    stereo = results_of([0.1 * normal(1, 1000, seed=seed).float() for seed in range(8)])["stereo[health]"]
    assert (stereo.value, stereo.interval) == (1.0, None)
    assert "all 8 prompts score the same" in stereo.no_interval


def test_columns_must_be_named():
    with pytest.raises(IncompleteError, match="has no column"):
        Settings(extractor="ear").build().measure(evidence(normal(3, 2)))
