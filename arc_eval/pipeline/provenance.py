"""Where a Run came from: machine, versions, git state."""

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import arc_eval
from arc_eval import registry
from arc_eval.records.run import Machine
from arc_eval.suite import Suite

PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "safetensors", "pydantic", "transformers")


def machine(suite: Suite, device: str) -> Machine:
    """The machine that the suite's target is, or this one. Raises SuiteError for an absent device."""
    if suite.bench is not None:
        facts: Machine = suite.bench.target.placed(device).build().machine()
        return facts
    local = registry.settings("targets", {"kind": "local", "device": device}, "device")
    here: Machine = local.build().machine()
    return here


def versions() -> dict[str, str]:
    """Package to version, of those whose numbers reach a result and are installed."""
    found = {"arc_eval": arc_eval.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> Mapping[str, Any]:
    """Commit of the checkout that this package is run from and whether it was changed; empty outside one."""
    checkout = Path(arc_eval.__file__).resolve().parent.parent
    top = _git(checkout, "rev-parse", "--show-toplevel")
    # An installed package may lie in an environment inside somebody else's checkout.
    if top is None or Path(top).resolve() != checkout:
        return {}
    commit = _git(checkout, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(_git(checkout, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
