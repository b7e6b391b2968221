"""What every comparison's driver does: its command line, its systems' processes, its verdict."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import arc_eval
from arc_eval.targets.local import Settings as Local
from peer.link import Worker
from peer.summary import TOLERANCE, Comparison, markdown, write


@dataclass(frozen=True)
class Program:
    """A worker to start: whose interpreter, which module, with what."""

    python: Path
    module: str
    arguments: Sequence[str]
    variables: Sequence[str] = ()
    """NAME=VALUE of its environment."""


def ours(module: str, arguments: Sequence[str], variables: Sequence[str] = ()) -> Program:
    """A worker with this process's interpreter and this process's arc_eval, installed or not."""
    where = Path(arc_eval.__file__).resolve().parents[1]
    return Program(Path(sys.executable), module, arguments, [f"PYTHONPATH={where}", *variables])


def parser(about: str, out: str) -> argparse.ArgumentParser:
    """The options that every comparison has; `out` is a folder of reports/measured."""
    made = argparse.ArgumentParser(description=about.partition("\n")[0])
    add = made.add_argument
    add("environment", type=Path, help="folder of the reference's environment; made if it is not there")
    add("--rounds", type=int, default=10, help="timed calls of each system; an interval needs 5")
    add("--threads", type=int, help="for every system; default: what torch chooses")
    add("--out", type=Path, default=Path(__file__).resolve().parents[3] / "reports/measured" / out)
    add("--work", type=Path, help="where the weights lie meanwhile; default: the system's place")
    return made


def checked(made: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for; ends the program where that makes no sense."""
    asked = made.parse_args()
    if asked.rounds < 1:
        made.error("--rounds must be at least 1")
    if any("=" not in pair for pair in asked.also):
        made.error("--also takes NAME=VALUE")
    return asked


def start(program: Program, log: Path, threads: int | None, running: ExitStack) -> Worker:
    """The program's worker, once it has loaded; `running` ends it."""
    variables = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    variables |= dict(pair.split("=", 1) for pair in program.variables)
    return running.enter_context(
        closing(Worker(program.python, program.module, program.arguments, variables, log))
    )


def machine(threads: int | None) -> Mapping[str, object]:
    """What a comparison says of where it ran."""
    here = Local(threads=threads).build().machine()
    return {"CPU": here.cpu, "cores": here.cores, "threads asked": threads or "none"}


def report(comparison: Comparison, out: Path) -> int:
    """Prints the table; writes it and returns 0 if what the systems made was equal, else returns 1."""
    print(markdown(comparison))
    error = comparison.worst_error
    if not error < TOLERANCE:
        print(f"not equal: relative error {error:.2e}, must be below {TOLERANCE:g}", file=sys.stderr)
        return 1
    write(comparison, out)
    print(f"written to {out}")
    return 0
