"""Verdicts for GitHub Actions: a step summary in Markdown and a few annotations.

GitHub shows ten annotations of a kind for a step and refuses a summary above 1 MiB, so the worst
come first and what is left out is said.
"""

from collections import Counter
from collections.abc import Sequence

from arc_eval.escape import markdown, printable
from arc_eval.gate.verdicts import SEVERITY, Verdict, exit_code, worst_first

MAX_ANNOTATIONS = 10
MAX_SUMMARY_BYTES = 2**20

_MARKS = {"passed": "✅", "regression": "❌", "incomplete": "⚠️", "not_comparable": "⚠️", "inconclusive": "❔"}


def summary(verdicts: Sequence[Verdict], limit: int = MAX_SUMMARY_BYTES) -> str:
    """Markdown of at most `limit` bytes: the tally, then a table, worst verdicts first."""
    counted = Counter(verdict.outcome for verdict in verdicts)
    tally = ", ".join(f"{counted[outcome]} {_words(outcome)}" for outcome in SEVERITY if counted[outcome])
    head = [
        "## arc-eval gate",
        "",
        f"**{tally or 'nothing was judged'}** (exit code {exit_code(verdicts)})",
        "",
        "| | system | rule | verdict |",
        "|---|---|---|---|",
    ]
    rows = [_row(verdict) for verdict in worst_first(verdicts)]
    return _truncated(head, rows, limit)


def annotations(verdicts: Sequence[Verdict], limit: int = MAX_ANNOTATIONS) -> list[str]:
    """Workflow commands for the worst verdicts that did not pass, at most `limit` of them."""
    open_ = [verdict for verdict in worst_first(verdicts) if verdict.outcome != "passed"]
    return [
        f"::{'error' if verdict.outcome == 'regression' else 'warning'} "
        f"title={_property(f'{_words(verdict.outcome)}: {verdict.title}')}::{_data(verdict.sentence)}"
        for verdict in open_[:limit]
    ]


def _row(verdict: Verdict) -> str:
    cells = [markdown(verdict.system), markdown(str(verdict.rule)), markdown(verdict.sentence)]
    return f"| {_MARKS[verdict.outcome]} | {' | '.join(cells)} |"


def _truncated(head: list[str], rows: list[str], limit: int) -> str:
    def size(text: str) -> int:
        return len(text.encode()) + 1

    room = limit - sum(map(size, head)) - 100  # the closing line is shorter than this
    kept: list[str] = []
    for row in rows:
        room -= size(row)
        if room < 0:
            break
        kept.append(row)
    left = len(rows) - len(kept)
    closing = ["", f"{left} more verdicts are left out here; the JUnit file has all."] if left else []
    return "\n".join([*head, *kept, *closing]) + "\n"


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
