"""The label divergence's direction, and the levels that it is read against."""

import numpy as np
import pytest
import torch
from made_evidence import EAR, clip_ids, evidence, normal

from arc_eval import registry
from arc_eval.metrics.label_kl import Settings, label_divergence
from arc_eval.metrics.label_levels import chance_level, constant_level

REVERSE = "reference||generated"


def golden_logits():
    random = np.random.RandomState(40)  # the golden vectors are of this generator
    return torch.from_numpy(2 * random.randn(5, 527)), torch.from_numpy(2 * random.randn(5, 527))


def measured(logits, recorded, direction="generated||reference", **keywords):
    found = evidence(logits, paired=recorded, **keywords)
    return {r.metric: r for r in Settings(extractor=EAR, direction=direction).build().measure(found)}


def test_both_directions_agree_with_the_golden_vectors():
    a, b = golden_logits()
    assert float(label_divergence(a, b).mean()) == pytest.approx(3.8428009435, abs=1e-10)
    assert float(label_divergence(b, a).mean()) == pytest.approx(3.6867426355, abs=1e-10)
    assert measured(a, b)["kl[ear]"].value == pytest.approx(3.8428009435, abs=1e-5)
    assert measured(a, b, REVERSE)["kl_reverse[ear]"].value == pytest.approx(3.6867426355, abs=1e-5)


def test_divergence_without_the_small_constant_agrees_with_the_golden_vectors():
    """By how much the constant lowers the number is itself known."""
    a, b = golden_logits()
    p, log_p, log_q = a.softmax(1), a.log_softmax(1), b.log_softmax(1)
    assert float((p * (log_p - log_q)).sum(1).mean()) == pytest.approx(3.8649063549, abs=1e-10)


def pairs_by_hand(logits, recorded, prompts, reverse):
    one = torch.Tensor.unsqueeze
    return [
        np.mean(
            [
                float(
                    label_divergence(one(r, 0), one(g, 0))
                    if reverse
                    else label_divergence(one(g, 0), one(r, 0))
                )
                for r, theirs in zip(recorded, prompts, strict=True)
                if theirs != own
            ]
        )
        for g, own in zip(logits, prompts, strict=True)
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_chance_is_the_mean_over_all_pairs_of_different_prompts(reverse):
    logits, recorded = 2 * normal(9, 6), 2 * normal(9, 6, seed=1)
    prompts = ["a", "a", "b", "c", "b", "d", "d", "d", "e"]
    found = chance_level(logits, recorded, prompts, reverse=reverse).tolist()
    assert found == pytest.approx(pairs_by_hand(logits, recorded, prompts, reverse), rel=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
def test_constant_is_what_a_system_scores_that_always_answers_with_the_mean(reverse):
    recorded = 2 * normal(8, 6, seed=1)
    always = recorded.softmax(1).mean(0).log().expand(8, 6)
    expected = label_divergence(recorded, always) if reverse else label_divergence(always, recorded)
    found = constant_level(normal(8, 6), recorded, reverse=reverse)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-10)


def test_no_constant_is_nearer_to_the_recordings_than_the_mean_in_the_reverse_direction():
    recorded = 2 * normal(40, 6, seed=1)
    best = float(constant_level(recorded, recorded, reverse=True).mean())
    for seed in range(20):
        other = (recorded.softmax(1).mean(0).log() + 0.3 * normal(6, seed=seed)).expand(40, 6)
        assert float(label_divergence(recorded, other).mean()) > best


def test_levels_stand_beside_the_divergence_of_the_same_clips():
    found = measured(normal(8, 5), normal(6, 5, seed=1), paired_owners=clip_ids(6))
    assert list(found) == ["kl[ear]", "kl_chance[ear]", "kl_constant[ear]"]
    assert [r.direction for r in found.values()] == ["lower", "none", "none"]
    assert {r.unit for r in found.values()} == {"nat"}
    assert {r.counts.scored for r in found.values()} == {6}
    assert all(r.interval.low < r.value < r.interval.high for r in found.values())
    names = list(measured(normal(8, 5), normal(8, 5), REVERSE))
    assert names == ["kl_reverse[ear]", "kl_reverse_chance[ear]", "kl_reverse_constant[ear]"]


def test_a_system_that_heeds_its_prompt_lies_below_chance_and_one_that_does_not_at_it():
    recorded = 3 * normal(60, 8)
    heeding = measured(recorded + 0.5 * normal(60, 8, seed=1), recorded)
    assert heeding["kl[ear]"].value < heeding["kl_constant[ear]"].value < heeding["kl_chance[ear]"].value
    deaf = measured(3 * normal(60, 8, seed=2), recorded)
    assert deaf["kl[ear]"].value == pytest.approx(deaf["kl_chance[ear]"].value, rel=0.15)


def test_one_prompt_alone_has_no_chance_level():
    found = measured(normal(2, 4), normal(2, 4, seed=1), owners=["a#0", "a#1"], paired_owners=["a#0", "a#1"])
    assert list(found) == ["kl[ear]", "kl_constant[ear]"]


def test_the_usual_direction_is_not_written_so_that_earlier_runs_compare():
    usual = registry.settings("metrics", {"kind": "label_kl", "extractor": EAR}, "suite")
    assert usual.model_dump(mode="json") == {"extractor": EAR}
    other = Settings(extractor=EAR, direction=REVERSE)
    assert other.model_dump(mode="json") == {"extractor": EAR, "direction": REVERSE}
    assert Settings(**other.model_dump()).build().name == "kl_reverse[ear]"
