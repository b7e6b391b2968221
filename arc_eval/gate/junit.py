"""Verdicts as JUnit XML: one test case for each rule and system.

A regression is a failure; whatever could not be decided (incomplete, not comparable, inconclusive)
is an error, so that no continuous integration shows it as passed.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as xml

from arc_eval.escape import one_line
from arc_eval.gate.verdicts import Verdict

SUITE = "arc-eval gate"


def junit(verdicts: Sequence[Verdict]) -> str:
    """The XML document as text."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    failures = outcomes["regression"]
    errors = len(verdicts) - failures - outcomes["passed"]
    totals = {"name": SUITE, "tests": str(len(verdicts)), "failures": str(failures), "errors": str(errors)}
    root = xml.Element("testsuites", totals)
    suite = xml.SubElement(root, "testsuite", {**totals, "skipped": "0"})
    for verdict in verdicts:
        _case(suite, verdict)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def write_junit(verdicts: Sequence[Verdict], path: Path) -> Path:
    """Writes the document; makes the folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(junit(verdicts), "utf-8")
    return path


def _case(suite: xml.Element, verdict: Verdict) -> None:
    case = xml.SubElement(
        suite, "testcase", {"classname": one_line(verdict.system), "name": one_line(str(verdict.rule))}
    )
    sentence = one_line(verdict.sentence)
    if verdict.outcome == "passed":
        xml.SubElement(case, "system-out").text = sentence
        return
    tag = "failure" if verdict.outcome == "regression" else "error"
    xml.SubElement(case, tag, {"message": sentence, "type": verdict.outcome}).text = sentence
