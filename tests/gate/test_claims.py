"""A claim is judged by its difference, with the chance of the sample and of the training in its interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from arc_eval.errors import SuiteError
from arc_eval.gate.claims import Claim, Finding, judge_claims, load_claims
from arc_eval.gate.comparison import Side
from arc_eval.records.measurement import Counts, Interval, Measurement
from arc_eval.records.run import Run, System
from arc_eval.suite import load_suite

T19 = 2.0930240544
"""The 0.975 quantile of Student's t with 19 degrees of freedom."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = write_run(tmp_path_factory.mktemp("run") / "run", systems=("recordings",), audio=False)
    return Run.read(folder)


def whole(value: float, error: float) -> Measurement:
    """A metric of the whole set with its jackknife interval."""
    half = T19 * error
    interval = Interval(value - half, value + half, 0.95, "jackknife")
    return Measurement("fd[ear]", value, "", "lower", Counts(9, 9, 9), interval)


def side(run: Run, values: Mapping[str, Measurement], scores: Mapping[str, Sequence[float]] = {}) -> Side:
    """A Run of these systems; scores are of one clip for each prompt."""
    systems = tuple(System(name, "generator", {}, {}, results=(found,)) for name, found in values.items())
    clips = {
        (name, values[name].metric): {f"p{place:04d}#0": score for place, score in enumerate(found)}
        for name, found in scores.items()
    }
    return Side("run", replace(run, systems=systems), clips)


def claim(of: str, than: str, **changes: object) -> Claim:
    data = {"claim": "a claim", "metric": "fd[ear]", "of": [of], "than": [than], "is": "lower", **changes}
    return Claim.model_validate(data)


def one(found: Side, asked: Claim) -> Finding:
    (finding,) = judge_claims(found, [asked])
    return finding


def test_one_training_on_both_sides_leaves_the_two_sampling_errors(empty: Run) -> None:
    found = one(
        side(empty, {"a": whole(1.0, 0.03), "b": whole(2.0, 0.04)}), claim("a", "b", same_training=True)
    )
    assert found.effect == pytest.approx(1.0)
    assert found.interval is not None
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(T19 * 0.05)
    assert found.outcome == "holds" and found.p is not None and found.p < 1e-10


def test_the_spread_between_seeds_widens_the_interval_by_its_variance(empty: Run) -> None:
    exact = 1e-9
    seeds = {f"a-{seed}": whole(value, exact) for seed, value in enumerate((0.9, 1.0, 1.1))}
    found = one(side(empty, {**seeds, "b": whole(2.0, exact)}), claim("a-*", "b"))
    # Variance 0.01 between three seeds: the mean of three against one training, 2 degrees of freedom.
    assert found.interval is not None
    half = 4.3026527 * math.sqrt(0.01 * (1 / 3 + 1))
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(half, rel=1e-6)
    assert found.seeds == (3, 1)


def test_scores_of_clips_are_paired_by_prompt(empty: Run) -> None:
    rng = np.random.default_rng(0)
    prompt = rng.normal(0, 10, 400)
    scores = {"a": prompt + rng.normal(0.3, 1, 400), "b": prompt}
    values = {
        name: Measurement(
            "clap[ear]", float(np.mean(found)), "", "higher", Counts(9, 9, 9), None, "not asked"
        )
        for name, found in scores.items()
    }
    asked = claim("a", "b", metric="clap[ear]", same_training=True, **{"is": "higher"})
    found = one(side(empty, values, {name: list(each) for name, each in scores.items()}), asked)
    assert found.interval is not None and found.outcome == "holds"
    error = np.std(scores["a"] - scores["b"], ddof=1) / 20
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(1.9659 * error, rel=1e-3)


def test_the_p_value_of_no_effect_is_uniform(empty: Run) -> None:
    rng = np.random.default_rng(1)
    ps = []
    for _ in range(400):
        values = {f"a-{seed}": whole(rng.normal(1, 0.1), 1e-9) for seed in range(4)}
        found = one(side(empty, {**values, "b": whole(rng.normal(1, 0.1), 1e-9)}), claim("a-*", "b"))
        assert found.p is not None
        ps.append(found.p)
    # Kolmogorov's distance of 400 uniform numbers exceeds 0.082 once in a hundred.
    ranks = np.arange(1, 401) / 400
    assert np.abs(np.sort(ps) - ranks).max() < 0.082


@pytest.mark.parametrize(
    ("value", "outcome"), [(1.1, "holds"), (1.25, "not settled"), (1.6, "does not hold")]
)
def test_a_margin_is_a_share_of_the_other_value(empty: Run, value: float, outcome: str) -> None:
    values = {"a": whole(value, 0.02), "b": whole(1.0, 0.02)}
    asked = claim("a", "b", margin=0.25, same_training=True)
    found = one(side(empty, values), asked)
    assert found.effect == pytest.approx(1.25 - value)
    assert found.outcome == outcome


def test_the_other_way_round_does_not_hold(empty: Run) -> None:
    values = {"a": whole(1.0, 0.03), "b": whole(2.0, 0.04)}
    assert one(side(empty, values), claim("b", "a", same_training=True)).outcome == "does not hold"


def test_what_is_missing_is_said(empty: Run) -> None:
    values = {"arc-8": whole(1.0, 0.1), "base": whole(2.0, 0.1)}
    absent = one(side(empty, values), claim("arc-9", "base"))
    assert absent.outcome == "not measured" and "arc-8" in absent.reason
    alone = one(side(empty, values), claim("arc-8", "base"))
    assert alone.outcome == "not measured" and "several seeds" in alone.reason
    other = one(side(empty, values), claim("arc-8", "base", metric="kd[ear]", same_training=True))
    assert "has no kd[ear]" in other.reason


def test_every_claim_of_the_paper_is_of_rows_that_the_ablations_have() -> None:
    suite = load_suite("ablations")
    metrics = {part.build().name for part in suite.metrics}
    for asked in load_claims("paper"):
        assert asked.metric in metrics
        for pattern in (*asked.of, *asked.than):
            stem = pattern.split("*")[0]
            assert any(
                name == pattern or ("*" in pattern and name.startswith(stem)) for name in suite.generators
            )


def test_a_misspelt_key_is_named_with_the_near_miss(tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text("- {claim: x, metric: m, of: [a], then: [b], is: lower}\n")
    with pytest.raises(SuiteError, match=r"claim 1: .*than"):
        load_claims(file)
    with pytest.raises(SuiteError, match="paper"):
        load_claims("papr")
