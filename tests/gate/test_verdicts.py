"""Rules, the outcomes they can have, and the exit code that follows."""

import dataclasses

import pytest

from arc_eval.errors import SuiteError
from arc_eval.gate.rules import Rule, load_rules
from arc_eval.gate.verdicts import EXIT_CODES, SEVERITY, Verdict, exit_code, judge
from tests.run_folders import FINGERPRINTS, MACHINE, write_run


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("base") / "base", audio=False)


def outcomes(run, baseline=None, **rule):
    return [verdict.outcome for verdict in judge(run, baseline, [Rule(**rule)])]


# fd of arc-8 is 23 with an interval of 1.5 to both sides.
@pytest.mark.parametrize(
    ("bound", "outcome"),
    [
        ({"max": 25}, "passed"),
        ({"max": 24}, "inconclusive"),
        ({"max": 22}, "inconclusive"),
        ({"max": 21}, "regression"),
        ({"min": 21}, "passed"),
        ({"min": 23}, "inconclusive"),
        ({"min": 25}, "regression"),
    ],
)
def test_the_whole_interval_decides_an_absolute_bound(baseline, bound, outcome):
    assert outcomes(baseline, metric="fd[tiny-clap]", system="arc-8", **bound) == [outcome]


@pytest.mark.parametrize(
    ("gain", "rule", "outcome"),
    [
        (0.0, {"max_increase": 5}, "passed"),
        (-0.1, {"max_increase": 5}, "regression"),
        (-0.05, {"max_increase": 5}, "inconclusive"),
        (0.2, {"max_decrease": 5}, "regression"),
        (-0.1, {"max_relative_increase": 0.1}, "regression"),
        (0.0, {"max_relative_increase": 0.2}, "passed"),
        (-0.1, {"margin": 20}, "passed"),
        (-0.1, {"margin": 5}, "regression"),
        (0.1, {"margin": 0}, "passed"),
    ],
)
def test_changes_from_the_baseline(baseline, tmp_path, gain, rule, outcome):
    run = write_run(tmp_path / "run", audio=False, gain={"arc-8": gain})
    assert outcomes(run, baseline, metric="fd[tiny-clap]", system="arc-8", **rule) == [outcome]


def test_a_margin_follows_the_direction_of_the_metric(baseline, tmp_path):
    better = write_run(tmp_path / "better", audio=False, seed=3, gain={"arc-8": 0.5})
    worse = write_run(tmp_path / "worse", audio=False, seed=3, gain={"arc-8": -0.7})
    assert outcomes(better, baseline, metric="clap[tiny-clap]", system="arc-8", margin=0.05) == ["passed"]
    assert outcomes(worse, baseline, metric="clap[tiny-clap]", system="arc-8", margin=0.05) == ["regression"]


def test_latency_may_grow_by_a_share(baseline, tmp_path):
    slow = write_run(tmp_path / "slow", audio=False, slower={"arc-8": 1.2})
    rule = {"metric": "latency_p50", "system": "arc-8"}
    assert outcomes(slow, baseline, **rule, max_relative_increase=0.3) == ["passed"]
    assert outcomes(slow, baseline, **rule, max_relative_increase=0.2) == ["inconclusive"]
    assert outcomes(slow, baseline, **rule, max_relative_increase=0.1) == ["regression"]


def test_another_system_of_the_same_run_can_be_the_baseline(baseline):
    rule = {"metric": "fd[tiny-clap]", "against": "reference-8"}
    assert outcomes(baseline, **rule, system="arc-8", max_increase=0) == ["passed"]
    assert outcomes(baseline, **rule, system="arc-*", max_increase=0) == ["passed", "passed"]
    assert outcomes(baseline, **rule, system="*", max_decrease=0) == ["regression", "regression"]


def test_a_pattern_names_generators_only(baseline):
    verdicts = judge(baseline, None, [Rule(metric="fd[tiny-clap]", max=1000)])
    assert [verdict.system for verdict in verdicts] == ["reference-8", "arc-8", "arc-4"]


def test_what_was_measured_differently_is_not_comparable(baseline, tmp_path):
    changed = {**FINGERPRINTS, "tiny-clap": {"checkpoint": "other"}}
    run = write_run(tmp_path / "run", audio=False, fingerprints=changed)
    assert outcomes(run, baseline, metric="fd[tiny-clap]", system="arc-8", margin=9) == ["not_comparable"]
    assert outcomes(run, baseline, metric="recognition[tiny-tagger]", system="arc-8", margin=9) == ["passed"]
    moved = write_run(tmp_path / "moved", audio=False, machine=dataclasses.replace(MACHINE, threads=8))
    assert outcomes(moved, baseline, metric="latency_p50", system="arc-8", margin=9) == ["not_comparable"]
    assert outcomes(moved, metric="latency_p50", system="arc-8", max=9) == ["passed"]


def test_a_failed_metric_too_few_clips_or_a_missing_baseline_system_is_incomplete(baseline, tmp_path):
    run = write_run(
        tmp_path / "run", audio=False, failures={("arc-8", "fd[tiny-clap]"): "all clips are silent"}
    )
    [verdict] = judge(run, None, [Rule(metric="fd[tiny-clap]", system="arc-8", max=100)])
    assert verdict.outcome == "incomplete" and "all clips are silent" in verdict.sentence
    assert outcomes(baseline, metric="fd[tiny-clap]", system="arc-8", max=100, min_clips=17) == ["incomplete"]
    new = write_run(tmp_path / "new", audio=False, systems=("arc-1", "arc-8"))
    assert outcomes(new, baseline, metric="fd[tiny-clap]", margin=5) == ["incomplete", "passed"]


def test_without_an_interval_the_value_decides_and_the_sentence_says_so(baseline):
    [verdict] = judge(baseline, None, [Rule(metric="rtf", system="arc-8", min=0.1)])
    assert verdict.outcome == "passed" and "judged by value alone" in verdict.sentence


def test_the_suites_own_gates_are_the_default(tmp_path):
    run = write_run(
        tmp_path / "run", audio=False, gates=[{"metric": "fd[tiny-clap]", "system": "arc-8", "max": 21}]
    )
    assert exit_code(judge(run)) == 1


def test_every_outcome_has_its_exit_code_and_the_worst_decides():
    def verdicts(*names):
        return [Verdict(Rule(metric="m", max=1), "s", name, "") for name in names]

    expected = {"passed": 0, "regression": 1, "incomplete": 3, "not_comparable": 4, "inconclusive": 5}
    assert expected == EXIT_CODES
    for rank, worst in enumerate(SEVERITY):
        assert exit_code(verdicts(*reversed(SEVERITY[rank:]))) == expected[worst]


def test_a_gate_that_judged_nothing_is_incomplete():
    assert exit_code([]) == 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"metric": "fd[tiny-clop]", "max": 1}, "did you mean 'fd\\[tiny-clap\\]'"),
        ({"metric": "fd[tiny-clap]", "system": "arc-9", "max": 1}, "did you mean 'arc-8'"),
        ({"metric": "fd[tiny-clap]", "system": "x-*", "max": 1}, "names no generator"),
        ({"metric": "fd[tiny-clap]", "system": "arc-8", "margin": 1}, "give a baseline Run"),
        (
            {"metric": "level[health]", "system": "arc-8", "margin": 1, "against": "arc-4"},
            "no better direction",
        ),
    ],
)
def test_what_the_user_can_fix_is_an_error_not_a_verdict(baseline, rule, message):
    with pytest.raises(SuiteError, match=message):
        judge(baseline, None, [Rule(**rule)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {metric: fd, max: 1, maximum: 2}", r"rules\[0\]\.maximum: unknown key; did you mean 'max'"),
        ("- {metric: fd}", "exactly one of"),
        ("- {metric: fd, max: 1, min: 0}", "this one has min, max"),
        ("- {max: 1}", r"rules\[0\]\.metric: missing"),
        ("- {metric: fd, max: high}", r"rules\[0\]\.max"),
        ("- {metric: fd, max: .nan}", r"rules\[0\]\.max"),
        ("- {metric: fd, max_increase: -1}", r"rules\[0\]\.max_increase"),
        ("- {metric: fd, max: 1, against: x}", "needs a bound on a change"),
        ("rule: []", "unknown key; did you mean 'rules'"),
        ("[]", "no rules"),
        ("- [", "not YAML"),
        ("- 3", r"rules\[0\]"),
    ],
)
def test_a_wrong_rule_file_is_refused_by_place_and_near_miss(tmp_path, text, message):
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=message):
        load_rules(path)


def test_rules_are_read_from_a_list_or_under_the_key_rules(tmp_path):
    path = tmp_path / "gate.yaml"
    path.write_text("- {metric: fd, max: 1}")
    plain = load_rules(path)
    path.write_text("rules:\n- {metric: fd, max: 1}")
    assert load_rules(path) == plain == [Rule(metric="fd", max=1)]
    with pytest.raises(SuiteError, match="cannot be read"):
        load_rules(tmp_path / "absent.yaml")


@pytest.mark.parametrize("state", ["running", "waiting", "failed: arc-8: 3 of 16 clips failed"])
def test_a_run_with_a_stage_that_is_not_done_is_incomplete_under_every_rule(tmp_path, state):
    stages = {"generate": state, "score": "done", "bench": "done"}
    run = write_run(tmp_path / "run", audio=False, stages=stages)
    rules = [Rule(metric="fd[tiny-clap]", system="arc-8", max=1000), Rule(metric="not there yet", max=1)]
    verdicts = judge(run, None, rules)
    assert [verdict.outcome for verdict in verdicts] == ["incomplete", "incomplete"]
    assert all(f"stage generate is {state}" in verdict.sentence for verdict in verdicts)
    assert exit_code(verdicts) == 3


def test_an_unfinished_baseline_is_incomplete_only_where_a_rule_needs_it(baseline, tmp_path):
    half = write_run(tmp_path / "half", audio=False, stages={"generate": "done", "score": "running"})
    [verdict] = judge(baseline, half, [Rule(metric="fd[tiny-clap]", system="arc-8", margin=9)])
    assert verdict.outcome == "incomplete" and "the baseline half: stage score is running" in verdict.sentence
    assert outcomes(baseline, half, metric="fd[tiny-clap]", system="arc-8", max=1000) == ["passed"]
