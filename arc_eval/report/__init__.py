"""Runs to tables, plots and pages."""

from arc_eval.report.write import write

__all__ = ["write"]
