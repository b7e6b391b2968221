"""What continuous integration reads: JUnit XML, annotations, the step summary."""

from xml.etree import ElementTree

import pytest

from arc_eval.gate.github import MAX_SUMMARY_BYTES, annotations, summary
from arc_eval.gate.junit import write_junit
from arc_eval.gate.rules import Rule
from arc_eval.gate.verdicts import SEVERITY, Verdict

HOSTILE = 'x\x00<script>alert(1)</script>|@all\n::error::%0A "quoted"'


def verdict(outcome, system="arc-8", sentence="fd is 3, demanded at most 2"):
    return Verdict(Rule(metric="fd[tiny-clap]", system=system, max=2), system, outcome, sentence)


@pytest.fixture
def every():
    return [verdict(outcome) for outcome in reversed(SEVERITY)]


def test_junit_has_one_case_for_each_verdict_and_counts_that_agree(every, tmp_path):
    suite = ElementTree.parse(write_junit(every, tmp_path / "deep" / "junit.xml")).getroot().find("testsuite")
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests")) == 5
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures")) == 1
    assert len(suite.findall("testcase/error")) == int(suite.get("errors")) == 3
    assert all(case.get("name") and case.get("classname") for case in cases)
    assert {error.get("type") for error in suite.iter("error")} == {
        "incomplete",
        "not_comparable",
        "inconclusive",
    }


def test_junit_survives_any_text(tmp_path):
    path = write_junit([verdict("regression", HOSTILE, HOSTILE)], tmp_path / "junit.xml")
    failure = next(ElementTree.parse(path).getroot().iter("failure"))
    assert "<script>alert(1)</script>" in failure.get("message") and "\x00" not in failure.get("message")


def test_junit_is_the_same_on_a_second_call(every, tmp_path):
    assert write_junit(every, tmp_path / "a").read_bytes() == write_junit(every, tmp_path / "b").read_bytes()


def test_annotations_are_few_and_the_worst_first(every):
    lines = annotations([*every * 10])
    assert len(lines) == 10
    assert all(line.startswith("::error title=regression") for line in lines)
    assert annotations([verdict("passed")]) == []


def test_an_annotation_cannot_smuggle_in_another_command():
    [line] = annotations([verdict("regression", HOSTILE, HOSTILE)])
    assert "\n" not in line and line.count("::") == 4  # the command's own two pairs, two inside the message
    assert line.split("::")[1].startswith("error title=")


def test_the_summary_is_cut_on_purpose():
    many = [verdict("regression", sentence="long " * 30) for _ in range(10_000)]
    text = summary(many)
    assert len(text.encode()) <= MAX_SUMMARY_BYTES
    assert "more verdicts are left out here" in text
    assert "10000 regression" in text


def test_the_summary_escapes_what_others_wrote():
    text = summary([verdict("regression", HOSTILE, HOSTILE)])
    assert "<script>" not in text and "@all" not in text
    assert all(
        line.count("|") - line.count("\\|") == 5 for line in text.splitlines() if line.startswith("| ")
    )


def test_the_summary_of_nothing_says_so():
    assert "nothing was judged" in summary([])
