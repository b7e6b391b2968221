"""Differences between two Runs: signs, pairing, intervals, and what refuses to be compared."""

import dataclasses

import pytest

from arc_eval.errors import NotComparableError
from arc_eval.gate.change import unpaired
from arc_eval.gate.comparison import compare
from arc_eval.records.measurement import Counts, Interval, Measurement
from tests.run_folders import FINGERPRINTS, MACHINE, Recipe, latency, write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    a = write_run(folder / "a", audio=False, seed=1)
    b = write_run(folder / "b", audio=False, seed=2, gain={"arc-8": 0.1}, slower={"arc-8": 1.5})
    return a, b


def found(comparison):
    return {(item.system, item.metric): item for item in comparison.differences}


def test_exchanging_the_runs_flips_every_sign_exactly(runs):
    forward, backward = found(compare(*runs)), found(compare(*reversed(runs)))
    assert forward.keys() == backward.keys()
    for place, item in forward.items():
        other = backward[place]
        assert item.value == -other.value
        assert (item.interval is None) == (other.interval is None)
        if item.interval:
            assert (item.interval.low, item.interval.high) == (-other.interval.high, -other.interval.low)
        assert {item.favours, other.favours} in ({None}, {"a", "b"})


def test_a_constant_gain_is_found_to_the_last_digit_by_pairing(tmp_path):
    a = write_run(tmp_path / "a", audio=False)
    b = write_run(tmp_path / "b", audio=False, gain={"arc-8": 0.1})
    item = found(compare(a, b))["arc-8", "clap[tiny-clap]"]
    assert item.pairing == "paired" and item.prompts == 8
    assert item.value == pytest.approx(0.06)
    same = found(compare(a, b))["arc-4", "clap[tiny-clap]"]
    assert same.value == 0 and same.interval is None and "score the same" in same.no_interval


def test_pairing_is_by_prompt_not_by_order_of_rows(runs, tmp_path):
    few = write_run(tmp_path / "few", audio=False, seed=1, prompts=6)
    item = found(compare(runs[0], few))["arc-8", "clap[tiny-clap]"]
    assert item.value == 0 and item.prompts == 6


def test_a_set_metric_is_unpaired_and_its_interval_is_the_root_of_summed_squares():
    def fd(value, half):
        return Measurement(
            "fd[x]", value, "", "lower", Counts(9, 9, 9), Interval(value - half, value + half, 0.95, "")
        )

    change = unpaired(fd(10, 3), fd(12, 4))
    assert change.pairing == "unpaired" and change.value == 2
    assert (change.interval.low, change.interval.high) == (pytest.approx(-3), pytest.approx(7))


def test_latency_is_compared_as_a_ratio_on_equal_machines(runs):
    item = found(compare(*runs))["arc-8", "latency_p50"]
    assert item.ratio.value == pytest.approx(1.5)
    assert item.ratio.low < 1.5 < item.ratio.high
    assert item.value == pytest.approx(0.5 * latency("arc-8", Recipe()))
    assert item.favours == "a"


def test_times_of_another_machine_are_marked_and_the_rest_is_compared(runs, tmp_path):
    other = dataclasses.replace(MACHINE, cpu="Another CPU")
    comparison = compare(runs[0], write_run(tmp_path / "b", audio=False, machine=other))
    skipped = [item for item in comparison.skipped if item.metric == "latency_p50"]
    assert skipped and "machine.cpu: 'Test CPU' in a, 'Another CPU' in b" in skipped[0].reason
    assert ("arc-8", "fd[tiny-clap]") in found(comparison)


def test_differing_fingerprints_are_refused_by_name(runs, tmp_path):
    changed = {**FINGERPRINTS, "tiny-clap": {**FINGERPRINTS["tiny-clap"], "resampler": "linear"}}
    other = write_run(tmp_path / "b", audio=False, fingerprints=changed)
    with pytest.raises(NotComparableError, match=r"tiny-clap\.resampler: 'soxr HQ' in a, 'linear' in b"):
        compare(runs[0], other)


def test_differing_prompts_are_refused(runs, tmp_path):
    with pytest.raises(NotComparableError, match="prompts_digest"):
        compare(runs[0], write_run(tmp_path / "b", audio=False, prompts_digest="e" * 64))


def test_a_failed_metric_is_skipped_with_its_reason(runs, tmp_path):
    failed = write_run(tmp_path / "b", audio=False, failures={("arc-8", "fd[tiny-clap]"): "too few clips"})
    comparison = compare(runs[0], failed)
    assert [item.reason for item in comparison.skipped] == ["b: fd[tiny-clap] of arc-8 failed: too few clips"]


def test_systems_of_one_side_are_listed(runs, tmp_path):
    other = write_run(tmp_path / "b", audio=False, systems=("recordings", "arc-8", "arc-1"))
    comparison = compare(runs[0], other)
    assert comparison.only_in_a == ("shuffled", "reference-8", "arc-4")
    assert comparison.only_in_b == ("arc-1",)
