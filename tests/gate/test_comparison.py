"""Differences between two Runs: signs, pairing, intervals, and what refuses to be compared."""

import dataclasses
import json

import pytest

from arc_eval.errors import NotComparableError, RunError
from arc_eval.gate.change import unpaired
from arc_eval.gate.comparison import compare
from arc_eval.records.basis import basis, differing
from arc_eval.records.measurement import Counts, Interval, Measurement
from arc_eval.records.run import Run
from tests.run_folders import FINGERPRINTS, MACHINE, METRIC_SETTINGS, Recipe, latency, write_run


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
    assert same.value == 0 and same.interval is None and "differ alike" in same.no_interval


def test_pairing_is_by_prompt_not_by_order_of_rows(runs, tmp_path):
    few = write_run(tmp_path / "few", audio=False, seed=1, prompts=6)
    item = found(compare(runs[0], few, equalise=True))["arc-8", "clap[tiny-clap]"]
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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reference_digest": "0" * 64}, "reference_digest"),
        ({"recordings_digest": "0" * 64}, "recordings_digest"),
        ({"takes": 3}, "takes: '2' in a, '3' in b"),
        (
            {"metric_settings": {**METRIC_SETTINGS, "fd[tiny-clap]": {"kind": "frechet", "eps": "1"}}},
            r"fd\.eps: 'absent' in a, '1' in b",
        ),
        (
            {
                "metric_settings": {
                    **METRIC_SETTINGS,
                    "kl[tiny-tagger]": {"kind": "segment_kl", "direction": "both"},
                }
            },
            r"kl\.kind: 'label_kl' in a, 'segment_kl' in b; .*kl\.direction: 'absent' in a, 'both' in b",
        ),
        (
            {
                "fingerprints": {
                    **FINGERPRINTS,
                    "tiny-tagger": {**FINGERPRINTS["tiny-tagger"], "protocol": "other"},
                }
            },
            r"kl\[tiny-tagger\] .*tiny-tagger\.protocol: 'absent' in a, 'other' in b",
        ),
        ({"reference_digest": ""}, "reference_digest: .* in a, 'absent' in b"),
    ],
)
def test_another_reference_other_recordings_settings_protocol_or_takes_are_refused(
    runs, tmp_path, changes, field
):
    with pytest.raises(NotComparableError, match=field):
        compare(runs[0], write_run(tmp_path / "b", audio=False, **changes))


def test_only_metrics_that_look_at_a_recording_depend_on_which_it_was(runs):
    moved = dataclasses.replace(Run.read(runs[0]), reference_digest="0", recordings_digest="1")
    changed = {
        metric: set(differing(basis(Run.read(runs[0]), metric), basis(moved, metric)))
        for metric in ["fd[tiny-clap]", "kl[tiny-tagger]", "clap[tiny-clap]", "level[health]", "new[ear]"]
    }
    assert changed == {
        "fd[tiny-clap]": {"reference_digest"},
        "kl[tiny-tagger]": {"recordings_digest"},
        "clap[tiny-clap]": set(),
        "level[health]": set(),
        "new[ear]": {"reference_digest", "recordings_digest"},
    }


def test_a_run_of_an_earlier_version_still_loads_and_compares_with_itself(runs, tmp_path):
    data = json.loads((runs[0] / "run.json").read_text())
    for field in ("reference_digest", "recordings_digest", "metric_settings"):
        del data[field]
    (tmp_path / "run.json").write_text(json.dumps(data))
    assert found(compare(tmp_path, tmp_path))["arc-8", "fd[tiny-clap]"].value == 0


def test_a_role_that_does_not_exist_is_refused_by_name(runs, tmp_path):
    data = json.loads((runs[0] / "run.json").read_text())
    data["systems"][0]["role"] = "<b>best</b>"
    (tmp_path / "run.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="no role '<b>best</b>'; a system is one of generator, ceiling, floor"):
        Run.read(tmp_path)
