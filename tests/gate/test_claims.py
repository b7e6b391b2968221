"""A claim is judged by its difference, with the chance of the sample and of the training in its interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from arc_eval.errors import SuiteError
from arc_eval.gate.claims import Claim, Finding, judge_claims, load_claims
from arc_eval.gate.comparison import Side
from arc_eval.records.measurement import Counts, Failure, Interval, Measurement, Result
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


def side(
    run: Run,
    values: Mapping[str, Result],
    scores: Mapping[str, Sequence[float]] = {},
    weights: Mapping[str, str] = {},
) -> Side:
    """A Run of these systems; scores are of one clip for each prompt, weights the digests that are known."""
    known = {name: {"weights": weights[name]} if name in weights else {} for name in values}
    systems = tuple(
        System(name, "generator", {}, known[name], results=(found,)) for name, found in values.items()
    )
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


def test_a_margin_scales_the_chance_of_the_other_training(empty: Run) -> None:
    exact = 1e-9
    seeds = {f"a-{seed}": whole(value, exact) for seed, value in enumerate((0.9, 1.0, 1.1))}
    found = one(side(empty, {**seeds, "b": whole(2.0, exact)}), claim("b", "a-*", margin=0.5))
    # b - 1.5 times the mean of three; variance 0.01 between trainings.
    assert found.effect == pytest.approx(-0.5)
    assert found.training_error == pytest.approx(0.1 * math.sqrt(1 + 1.5**2 / 3))
    assert found.sampling_error is not None and found.sampling_error < 1e-8


def test_the_same_trainings_used_in_two_ways_are_paired_by_their_weights(empty: Run) -> None:
    levels, falls = (3.0, 1.0, 2.0), (0.10, 0.12, 0.14)
    rows = {f"many-{n}": whole(level, 1e-9) for n, level in enumerate(levels)}
    # Rows in another order: what is paired is decided by the weights, not by place or name.
    few = {f"few-{n}": whole(levels[k] + falls[k], 1e-9) for n, k in enumerate((2, 0, 1))}
    weights = {f"many-{n}": str(n) for n in range(3)} | {f"few-{n}": str(k) for n, k in enumerate((2, 0, 1))}
    asked = claim("few-*", "many-*", same_training=True)
    found = one(side(empty, {**rows, **few}, weights=weights), asked)
    assert found.effect == pytest.approx(-0.12)
    assert found.training_error == pytest.approx(0.02 / math.sqrt(3))  # falls differ by 0.02, levels by 1
    assert found.outcome == "does not hold" and found.interval is not None
    assert found.interval.high - found.effect == pytest.approx(4.3026527 * 0.02 / math.sqrt(3), rel=1e-6)


def test_one_training_alone_says_what_its_interval_leaves_out(empty: Run) -> None:
    values = {"arc-8": whole(1.0, 0.02), "arc-1": whole(1.1, 0.02)}
    found = one(
        side(empty, values, weights={"arc-8": "w", "arc-1": "w"}),
        claim("arc-1", "arc-8", margin=0.25, same_training=True),
    )
    assert found.outcome == "holds" and found.training_error is None
    assert any("one training" in remark for remark in found.remarks)


def test_a_system_trained_once_borrows_the_spread_of_others_and_says_so(empty: Run) -> None:
    values = {f"arc-{seed}": whole(1.0 + seed / 100, 0.01) for seed in range(3)}
    found = one(side(empty, {**values, "base": whole(2.0, 0.01)}), claim("arc-*", "base"))
    (remark,) = found.remarks
    assert "base trained once" in remark and "arc-0, arc-1, arc-2" in remark


@pytest.mark.parametrize(
    ("weights", "asked", "reason"),
    [
        ({"a-0": "w", "a-1": "w"}, claim("a-*", "b"), "a-0 and a-1 are the same weights"),
        ({"a-0": "w", "b": "v"}, claim("a-0", "b", same_training=True), "a-0, b are on one side only"),
        ({"a-0": "w", "a-1": "v", "b": "v"}, claim("a-*", "b", same_training=True), "a-0 are on one side"),
    ],
)
def test_trainings_that_are_not_what_a_claim_takes_them_for_are_refused(
    empty: Run, weights: Mapping[str, str], asked: Claim, reason: str
) -> None:
    values = {"a-0": whole(1.0, 0.1), "a-1": whole(1.1, 0.1), "b": whole(2.0, 0.1)}
    found = one(side(empty, values, weights=weights), asked)
    assert found.outcome == "not measured" and reason in found.reason


def test_rows_of_one_training_are_pooled_once(empty: Run) -> None:
    """The same three trainings under two claims are three, not six: two degrees of freedom."""
    weights = {f"{kind}-{n}": str(n) for kind in ("many", "few") for n in range(3)}
    values = {name: whole(1.0 + int(name[-1]) / 10, 1e-9) for name in weights}
    run = side(empty, {**values, "b": whole(2.0, 1e-9)}, weights=weights)
    found, _ = judge_claims(run, [claim("many-*", "b"), claim("few-*", "b")])
    assert found.interval is not None and "2.0 degrees" in found.interval.method


def test_what_failed_elsewhere_spoils_no_other_claim(empty: Run) -> None:
    rows: dict[str, Result] = {f"a-{seed}": whole(1.0 + seed / 100, 0.01) for seed in range(3)}
    rows |= {"b": whole(2.0, 0.01), "c-0": Failure("fd[ear]", "too few clips"), "c-1": whole(3.0, 0.01)}
    fine, spoilt = judge_claims(side(empty, rows), [claim("a-*", "b"), claim("c-*", "b")])
    assert fine.outcome == "holds"
    assert spoilt.outcome == "not measured" and "c-0 failed: too few clips" in spoilt.reason


def test_an_interval_that_ends_at_the_end_of_the_range_is_read_from_its_other_side(empty: Run) -> None:
    cut = Interval(0.0, 0.01 + T19 * 0.03, 0.95, "jackknife")
    near_zero = Measurement("fd[ear]", 0.01, "", "lower", Counts(9, 9, 9), cut)
    found = one(side(empty, {"a": near_zero, "b": whole(2.0, 0.04)}), claim("a", "b", same_training=True))
    assert found.sampling_error == pytest.approx(0.05)


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_run_that_is_not_finished_settles_nothing(empty: Run, state: str) -> None:
    run = replace(empty, stages={"generate": "done", "score": state})
    found = one(side(run, {"a": whole(1.0, 0.1), "b": whole(2.0, 0.1)}), claim("a", "b", same_training=True))
    assert found.outcome == "not measured" and "score" in found.reason


def test_what_a_stage_lost_is_said_beside_the_number(empty: Run) -> None:
    run = replace(empty, stages={"generate": "failed: 3 of 9 clips failed", "score": "done"})
    found = one(side(run, {"a": whole(1.0, 0.1), "b": whole(2.0, 0.1)}), claim("a", "b", same_training=True))
    assert found.outcome == "holds" and "generate failed: 3 of 9 clips failed" in found.remarks


def test_copies_leave_chance_unknown(empty: Run) -> None:
    scores = {"a": [0.5] * 8, "b": [0.5] * 8}
    values = {name: whole(0.5, 0.1) for name in scores}
    found = one(side(empty, values, scores), claim("a", "b", same_training=True))
    assert found.outcome == "not measured" and "chance is unknown" in found.reason


@dataclass(frozen=True)
class Truth:
    """What scores are drawn from: prompts of unlike difficulty, trainings of unlike quality, noise."""

    gain: float
    prompts: int = 40
    prompt_spread: float = 1.0
    training_spread: float = 0.1
    noise: float = 0.2

    def draw(self, run: Run, rng: np.random.Generator) -> Side:
        hard = rng.normal(0, self.prompt_spread, self.prompts)
        levels = {f"a-{seed}": self.gain for seed in range(3)} | {"b": 0.0}
        scores = {
            name: level + rng.normal(0, self.training_spread) + hard + rng.normal(0, self.noise, self.prompts)
            for name, level in levels.items()
        }
        counts = Counts(9, 9, 9)
        values = {
            name: Measurement("clap[ear]", float(own.mean()), "", "higher", counts, None, "not asked")
            for name, own in scores.items()
        }
        return side(run, values, {name: list(own) for name, own in scores.items()})


def share_that_holds(run: Run, truth: Truth, draws: int = 400) -> float:
    rng = np.random.default_rng(5)
    asked = claim("a-*", "b", metric="clap[ear]", **{"is": "higher"})
    return float(np.mean([one(truth.draw(run, rng), asked).outcome == "holds" for _ in range(draws)]))


def test_no_gain_is_held_for_one_at_most_as_often_as_stated(empty: Run) -> None:
    # 2.5 % of 400 draws; more than 20 of them would come by chance once in two hundred.
    assert share_that_holds(empty, Truth(gain=0.0)) <= 0.05


def test_sampling_alone_would_take_the_luck_of_a_training_for_a_gain(empty: Run) -> None:
    """What the spread between seeds is in the interval for."""
    truth, rng = Truth(gain=0.0), np.random.default_rng(6)
    asked = claim("a-0", "b", metric="clap[ear]", same_training=True, **{"is": "higher"})
    lucky = np.mean([one(truth.draw(empty, rng), asked).outcome == "holds" for _ in range(200)])
    assert lucky > 0.2


def test_a_planted_gain_is_found(empty: Run) -> None:
    assert share_that_holds(empty, Truth(gain=1.0), draws=100) > 0.9


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
