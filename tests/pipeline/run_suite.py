"""Runs a suite file, as a program that can be killed: `run_suite.py SUITE OUT STORE WORKERS`."""

import sys
from pathlib import Path

from arc_eval.pipeline.run import run
from arc_eval.store import Store
from arc_eval.suite import load_suite

if __name__ == "__main__":
    suite, out, store, workers = sys.argv[1:]
    run(load_suite(suite), Path(out), store=Store(Path(store)), workers=int(workers))
