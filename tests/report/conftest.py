"""Run folders that the report tests read, and the Report written from one of them."""

import pytest

from arc_eval import report
from tests.run_folders import write_run

HOSTILE = (
    "</script><script>alert(1)</script> =cmd|' /C calc'!A0 \\input{x} 50% & $x_1$ "
    "<img src=x onerror=alert(1)> @all"
)
REASON = 'no rows | "x" <b>bold</b> & 100% of_them'


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A small Run whose first prompt and one failure are written by somebody who means harm."""
    return write_run(
        tmp_path_factory.mktemp("runs") / "run",
        texts={0: HOSTILE},
        failures={("arc-4", "fd[tiny-clap]"): REASON},
        prompts=5,
    )


@pytest.fixture(scope="session")
def written(run, tmp_path_factory):
    """The folder of a report in every format, with the paper's table."""
    out = tmp_path_factory.mktemp("report")
    report.write([run], table="paper_table1", out=out)
    return out
