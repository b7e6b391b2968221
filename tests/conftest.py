"""Fixtures that every test folder shares."""

import os
import sys
from itertools import count
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
_numbers = count()

# Before torch is imported, here and in every process that a test starts: the tests' networks are so small
# that a second thread only waits, for ever so long on a machine that is busy with something else.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `run_folders` and `tiny_suites`, which several folders use, are imported by their names.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of official goldens and real sounds beside the checkout; skips where it is absent."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"needs the goldens and sounds in {SHARED}, which are not part of the project")
    return SHARED


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's store, and none believes itself on GitHub or in a debugger."""
    store = tmp_path_factory.getbasetemp() / "stores" / str(next(_numbers))
    monkeypatch.setenv("ARC_EVAL_CACHE", str(store))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "ARC_EVAL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
