"""Set metrics between Runs: paired by the influence of prompts, refused or equalised at unequal sizes."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from arc_eval.cli.results import comparison_text
from arc_eval.errors import NotComparableError
from arc_eval.gate.claims import Claim, judge_claims
from arc_eval.gate.comparison import Side, compare, difference
from arc_eval.gate.rules import parse_rules
from arc_eval.gate.verdicts import judge
from arc_eval.pipeline.tables import write_table
from arc_eval.records.measurement import Counts, Interval, Measurement
from arc_eval.records.run import INFLUENCE_COLUMNS
from arc_eval.report import write

FD = "fd[tiny-clap]"
QUICKSTART = Path(__file__).resolve().parents[2] / "reports" / "measured" / "quickstart"


def write_influence(folder, pulls):
    """pulls: system to the influence of each prompt on its fd."""
    rows = [
        {"system": system, "metric": FD, "unit": f"p{index:02d}", "value": value}
        for system, values in pulls.items()
        for index, value in reversed(list(enumerate(values)))
    ]
    write_table(folder / "influence.parquet", INFLUENCE_COLUMNS, rows)
    return folder


def rewrite(folder, metric, system, **changes):
    """Changes one result of a Run, or adds it."""
    data = json.loads((folder / "run.json").read_text())
    for found in data["systems"]:
        if found["name"] == system:
            known = [result for result in found["results"] if result["metric"] == metric]
            if known:
                known[0].update(changes)
            else:
                bias = asdict(Measurement(metric, 0.0, "", "none", Counts(16, 16, 16), None, "bias"))
                del bias["influence"]
                found["results"].append({**bias, **changes})
    (folder / "run.json").write_text(json.dumps(data))


@pytest.fixture
def hard():
    return 20 * np.random.default_rng(0).normal(size=30)


def found(comparison, system, metric=FD):
    return next(item for item in comparison.differences if (item.system, item.metric) == (system, metric))


def test_what_a_prompt_does_to_both_systems_cancels(tmp_path, hard):
    rng = np.random.default_rng(1)
    a = write_run(tmp_path / "a", audio=False)
    b = write_run(tmp_path / "b", audio=False, gain={"arc-8": 0.1})
    before, after = hard + rng.normal(size=30), hard + rng.normal(size=30)
    write_influence(a, {"arc-8": before})
    write_influence(b, {"arc-8": after})
    item = found(compare(a, b), "arc-8")
    half = 2.0452296421 * (after - before).std(ddof=1) / np.sqrt(30)
    assert (item.pairing, item.prompts) == ("paired", 30)
    assert item.value == item.b.value - item.a.value == pytest.approx(-10)
    assert (item.interval.low, item.interval.high) == pytest.approx((item.value - half, item.value + half))
    assert item.ratio.low < item.b.value / item.a.value == item.ratio.value < item.ratio.high
    back = found(compare(b, a), "arc-8")
    assert (back.interval.low, back.interval.high) == (-item.interval.high, -item.interval.low)
    # A system that has no influences in these Runs falls back to the two intervals.
    assert found(compare(a, b), "arc-4").pairing == "unpaired"
    text = comparison_text(compare(a, b))
    assert "paired, 30 prompts" in text and "unpaired" in text


def test_a_run_beside_itself_differs_by_nothing_and_says_why_there_is_no_interval(tmp_path, hard):
    run = write_influence(write_run(tmp_path / "a", audio=False), {"arc-8": hard})
    item = found(compare(run, run), "arc-8")
    assert item.value == 0 and item.interval is None and "pull alike" in item.no_interval
    assert item.favours is None and item.ratio is None


def test_a_gate_and_a_claim_use_the_pairing(tmp_path, hard):
    run = write_run(tmp_path / "a", audio=False)
    write_influence(run, {"arc-8": hard, "arc-4": hard + np.random.default_rng(2).normal(size=30)})
    rules = parse_rules(
        [{"metric": FD, "system": "arc-4", "against": "arc-8", "max_increase": 8}], where="test"
    )
    (verdict,) = judge(run, rules=rules)
    assert verdict.outcome == "passed" and "paired influence of 30 prompts" in verdict.sentence
    side = Side.read(run)
    claim = Claim.model_validate(
        {"claim": "", "metric": FD, "of": ["arc-8"], "than": ["arc-4"], "is": "lower", "same_training": True}
    )
    (with_pairs,) = judge_claims(side, [claim])
    (without,) = judge_claims(replace(side, influence={}), [claim])
    assert with_pairs.effect == without.effect == pytest.approx(6)
    assert with_pairs.interval.high - with_pairs.effect < (without.interval.high - without.effect) / 2


def test_unequal_numbers_of_clips_or_rows_are_refused_with_both_numbers_and_advice(tmp_path):
    a, b = (write_run(tmp_path / name, audio=False) for name in "ab")
    rewrite(b, FD, "arc-8", counts=asdict(Counts(16, 15, 15)))
    with pytest.raises(NotComparableError, match="rests on 16 in a/arc-8, on 15 in b/arc-8; evaluate both"):
        compare(a, b)
    for folder, rows in ((a, 160), (b, 200)):
        rewrite(folder, FD, "arc-8", counts=asdict(Counts(16, 16, 16, rows)))
    with pytest.raises(NotComparableError, match=r"number of rows, and rests on 160 .* on 200"):
        difference(Side.read(a), "arc-8", Side.read(b), "arc-8", FD)
    skipped = compare(a, b, equalise=True).skipped
    assert [(item.system, item.metric) for item in skipped] == [("arc-8", FD)]
    rules = parse_rules([{"metric": FD, "system": "arc-8", "margin": 1}], where="test")
    assert [verdict.outcome for verdict in judge(b, a, rules)] == ["not_comparable"]
    rewrite(b, FD, "arc-8", counts=asdict(Counts(16, 16, 16, 161)))  # within a hundredth
    assert found(compare(a, b), "arc-8").value == 0


def test_equalised_each_is_stated_as_at_the_smaller_number_of_clips(tmp_path):
    a, b = (write_run(tmp_path / name, audio=False) for name in "ab")
    rewrite(a, FD, "arc-8", counts=asdict(Counts(16, 16, 16, 160)))
    rewrite(b, FD, "arc-8", counts=asdict(Counts(16, 8, 8, 80)))
    for folder, bias in ((a, 2.0), (b, 4.0)):
        rewrite(folder, "fd_bias[tiny-clap]", "arc-8", value=bias)
    item = found(compare(a, b, equalise=True), "arc-8")
    # A bias of 2 at 16 clips is one of 4 at 8 clips: A would have been 2 higher there.
    assert item.a.value == pytest.approx(Side.read(a).measured("arc-8", FD).value + 2)
    assert item.b.value == Side.read(b).measured("arc-8", FD).value
    assert isinstance(item.a.interval, Interval) and item.a.interval.low < item.a.value < item.a.interval.high
    assert "16 clips in a/arc-8, 8 in b/arc-8; both stated as at 8, by fd_bias" in item.note
    assert "equalised: arc-8" in comparison_text(compare(a, b, equalise=True))


@pytest.fixture
def earlier(tmp_path):
    """A measured Run as arc_eval wrote it before it kept influences, counts of rows and canaries."""
    folder = shutil.copytree(QUICKSTART, tmp_path / "earlier")
    (folder / "influence.parquet").unlink()
    data = json.loads((folder / "run.json").read_text())
    del data["canaries"], data["stages"]["canaries"]
    for system in data["systems"]:
        for result in system["results"]:
            (result.get("counts") or {}).pop("rows", None)
    (folder / "run.json").write_text(json.dumps(data))
    return folder


def test_a_run_of_an_earlier_version_is_compared_judged_and_reported_as_before(earlier, tmp_path):
    compared = compare(earlier, earlier)
    pairings = {item.metric: item.pairing for item in compared.differences}
    assert pairings["fd[tiny-clap]"] == "unpaired" and pairings["clap[tiny-clap]"] == "paired"
    assert not compared.skipped and all(item.value == 0 for item in compared.differences)
    assert all(verdict.outcome != "not_comparable" for verdict in judge(earlier, earlier))
    assert write([earlier], formats=["csv"], table=None, out=tmp_path / "report")
