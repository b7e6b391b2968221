"""Evaluation and benchmarking of fast text-to-audio generators."""

__version__ = "0.1.0"
