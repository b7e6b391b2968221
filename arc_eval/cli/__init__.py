"""The command line: the only part that prints, configures logging or exits."""

from arc_eval.cli.app import app, main

__all__ = ["app", "main"]
