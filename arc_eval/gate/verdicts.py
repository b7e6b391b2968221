"""Verdicts: a rule held against a Run, and what follows for the exit code.

A bound is judged by the interval, not by the value alone: `passed` when the whole interval keeps
the bound, `regression` when all of it breaks the bound, `inconclusive` in between. Where there is
no interval the value decides, and the sentence says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from arc_eval.errors import IncompleteError, NotComparableError, SuiteError, suggest
from arc_eval.gate.comparison import Side
from arc_eval.gate.quantity import Quantity, demanded
from arc_eval.gate.rules import Rule, parse_rules

Outcome = Literal["passed", "regression", "inconclusive", "incomplete", "not_comparable"]

SEVERITY: tuple[Outcome, ...] = ("regression", "incomplete", "not_comparable", "inconclusive", "passed")
"""Worst first. A proven regression stands whatever else is unknown; a Run that lacks a number is
mended before its baseline; a doubt that more clips would settle comes last."""

EXIT_CODES: dict[Outcome, int] = {
    "passed": 0, "regression": 1, "incomplete": 3, "not_comparable": 4, "inconclusive": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What became of one rule for one system; `quantity` is None where there was nothing to judge."""

    rule: Rule
    system: str
    outcome: Outcome
    sentence: str
    quantity: Quantity | None = None

    @property
    def title(self) -> str:
        """What was judged, without the outcome."""
        return f"{self.system}: {self.rule}"


def judge(run: Path, baseline: Path | None = None, rules: Sequence[Rule] | None = None) -> list[Verdict]:
    """Holds every rule against the systems that it names; without rules, those of the Run's own suite.

    Raises SuiteError for a metric or system that the Run does not know, and for a rule on a change
    without a baseline; RunError for a folder that is not a Run. Whatever else goes wrong with a rule
    is a verdict: a Run with a stage that is not done is incomplete under every rule, for its numbers
    are of what came out so far.
    """
    side = Side.read(run)
    other = None if baseline is None else Side.read(baseline)
    if rules is None:
        rules = parse_rules(side.run.suite.get("gates") or [], where=f"{run}: suite.gates")
    if unfinished := _unfinished(side):
        return [Verdict(rule, rule.system, "incomplete", unfinished) for rule in rules]
    return [_verdict(rule, system, side, other) for rule in rules for system in _systems(rule, side)]


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """The code of the worst outcome in the order of SEVERITY; 3 when nothing was judged."""
    outcomes = {verdict.outcome for verdict in verdicts} or {"incomplete"}
    return EXIT_CODES[next(outcome for outcome in SEVERITY if outcome in outcomes)]


def worst_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts by severity, otherwise in their order."""
    return sorted(verdicts, key=lambda verdict: SEVERITY.index(verdict.outcome))


def _unfinished(side: Side) -> str:
    """The stages that are not done, in words; nothing if all are."""
    stages = [f"stage {name} is {state}" for name, state in side.run.stages.items() if state != "done"]
    return f"{side.name}: {'; '.join(stages)}; run the suite again before it is judged" if stages else ""


def _systems(rule: Rule, side: Side) -> list[str]:
    """The systems that a rule names. Raises SuiteError if there are none, or the metric is unknown."""
    metrics = side.run.metrics()
    if rule.metric not in metrics:
        raise SuiteError(f"{side.name}: no metric {rule.metric!r}; {suggest(rule.metric, metrics)}")
    if rule.against is not None:
        side.system(rule.against)
    if not rule.is_pattern:
        return [side.system(rule.system).name]
    generators = [system.name for system in side.run.systems if system.role == "generator"]
    named = [name for name in generators if fnmatchcase(name, rule.system) and name != rule.against]
    if not named:
        hint = suggest(rule.system, generators)
        raise SuiteError(f"{side.name}: pattern {rule.system!r} names no generator; {hint}")
    return named


def _verdict(rule: Rule, system: str, side: Side, baseline: Side | None) -> Verdict:
    needs_baseline = rule.relative_to_baseline and rule.against is None
    if baseline is not None and needs_baseline and (unfinished := _unfinished(baseline)):
        return Verdict(rule, system, "incomplete", f"{system}: the baseline {unfinished}")
    try:
        quantity = demanded(rule, system, side, baseline)
    except NotComparableError as error:
        return Verdict(rule, system, "not_comparable", f"{system}: {error}")
    except IncompleteError as error:
        return Verdict(rule, system, "incomplete", f"{system}: {error}")
    outcome: Outcome = "passed" if quantity.keeps else "regression" if quantity.breaks else "inconclusive"
    return Verdict(rule, system, outcome, f"{system}: {quantity.sentence(outcome)}", quantity)
