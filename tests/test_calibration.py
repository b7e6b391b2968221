"""Nominal intervals hold as often as they say: the benchmark's A/A comparisons, few and small."""

from pathlib import Path

import pytest
from scipy.stats import binom

BENCH = Path(__file__).resolve().parents[1] / "suites" / "bench"
TRIALS = 40


@pytest.fixture
def simulate(monkeypatch):
    """The benchmark is no part of arc_eval: it is found in its own folder."""
    monkeypatch.syspath_prepend(str(BENCH))
    from calibration import simulate

    return simulate


def test_differences_of_a_system_with_itself_exclude_zero_as_rarely_as_they_say(simulate):
    found = simulate(16, 3, TRIALS, ("frechet", "diversity", "alignment", "label_kl"))
    assert found.keys() == {f"{name}[simulated]" for name in ("fd", "ccds", "ccds_between", "clap", "kl")}
    fewest = binom.ppf(1e-4, TRIALS, 0.95) / TRIALS
    for name, tally in found.items():
        coverage = tally.coverage()
        assert coverage["pairing"] == "paired" and coverage["trials"] == TRIALS
        assert coverage["difference"] >= fewest, (name, coverage)
        assert coverage["value"] >= fewest, (name, coverage)
        # Nor is an interval wider than the spread asks for: 2.1 times it, give or take what 40 trials say.
        if name != "ccds_between[simulated]":
            width = coverage["difference_half_width"] / coverage["difference_spread"]
            assert 1.5 < width < 3.0, (name, coverage)
