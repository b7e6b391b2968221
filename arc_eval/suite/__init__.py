"""Suites: everything that decides an evaluation, as data; read once, then every choice is an object."""

from arc_eval.suite.file import apply_override, read_suite_file, shipped_suites
from arc_eval.suite.model import Bench, Part, Suite, load_suite, parse_suite
from arc_eval.suite.prompts import prompts_digest

__all__ = [
    "Bench",
    "Part",
    "Suite",
    "apply_override",
    "load_suite",
    "parse_suite",
    "prompts_digest",
    "read_suite_file",
    "shipped_suites",
]
