"""Times arc_eval's ARC post-training beside the reference implementation's, on this CPU, in one run.

Each system lives in a process of its own and trains for real: a step of the generator and one of the
discriminator, then it is the next system's turn. Losses and gradient norms must stay equal, pair after
pair, or nothing is written.

    python suites/bench/peer_training.py ENVIRONMENT [--rounds 10] [--full] [--also KEY=VALUE]
"""

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peer.driver import Program, checked, machine, ours, parser, report, start
from peer.environment import REFERENCE, reference_python
from peer.link import Worker
from peer.summary import Comparison, Round, relative_error
from peer.training_material import FULL, Size, prepare

THEIRS, OURS = REFERENCE.replace("==", " "), "arc_eval"
Ran = tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]
"""By system: what it said of itself, and its answer to every pair of steps."""


def main() -> int:
    """The command line. 0 if losses and gradients were equal, 1 if not."""
    asked = arguments()
    with TemporaryDirectory(dir=asked.work, prefix="peer-") as scratch:
        comparison = compare(asked, Path(scratch))
    return report(comparison, asked.out)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    made = parser(__doc__ or "", "peer-training")
    add = made.add_argument
    add("--batch", type=int, default=4, help="clips")
    add(
        "--full",
        action="store_true",
        help="the official 341 million parameters, one system after the other; wants 20 GB of memory",
    )
    for name, default in asdict(Size()).items():
        add(f"--{name}", type=int, default=default)
    add(
        "--also",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a further system: arc_eval with this in its recipe, as precision=bfloat16; commas join several",
    )
    add("--as-users-run-it", action="store_true", help="leave out the reference without its recomputation")
    return checked(made)


def compare(asked: argparse.Namespace, scratch: Path) -> Comparison:
    """Makes the material, lets every system train, compares what they logged."""
    python = reference_python(asked.environment)
    size = FULL if asked.full else Size(**{name: getattr(asked, name) for name in asdict(Size())})
    prepare(size, asked.batch, asked.rounds, scratch)
    systems = programs(python, scratch, asked)
    run = one_by_one if asked.full else in_turn
    facts, costs = run(systems, range(asked.rounds + 1), scratch, asked.threads)
    order = (THEIRS, *systems)  # arc_eval started first, to leave what the others need
    rounds = [judged({name: costs[name][pair] for name in order}) for pair in range(asked.rounds + 1)]
    setting = {
        **asdict(size),
        "batch": asked.batch,
        "systems": "one after the other" if asked.full else "in turn",
        **machine(asked.threads),
    }
    inexact = tuple(name for name in systems if "precision=" in name)
    known = {name: facts[name] for name in order}
    return Comparison(setting, known, rounds[0], rounds[1:], ("generator", "discriminator"), inexact)


def in_turn(programs: Mapping[str, Program], pairs: range, scratch: Path, threads: int | None) -> Ran:
    """All systems stand ready; each pair of steps is every system's before the next pair begins."""
    with ExitStack() as running:
        workers: dict[str, Worker] = {}
        for name, program in programs.items():
            workers[name] = start(program, scratch / f"{len(workers)}.log", threads, running)
        costs: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
        for pair in pairs:
            for name, worker in workers.items():
                costs[name].append(worker.ask(pair=pair))
        return {name: worker.facts for name, worker in workers.items()}, costs


def one_by_one(programs: Mapping[str, Program], pairs: range, scratch: Path, threads: int | None) -> Ran:
    """A system ends before the next begins: two of full size do not fit a machine of 24 GB together."""
    facts: dict[str, dict[str, Any]] = {}
    costs: dict[str, list[dict[str, Any]]] = {}
    for name, program in programs.items():
        found, answers = in_turn({name: program}, pairs, scratch, threads)
        facts |= found
        costs |= answers
    return facts, costs


def programs(python: Path, scratch: Path, asked: argparse.Namespace) -> dict[str, Program]:
    """The systems in the order in which they are started."""
    theirs = [str(scratch)]
    found = {
        OURS: ours("peer.training_ours", [str(scratch)]),
        THEIRS: Program(python, "peer.training_theirs", theirs),
    }
    if not asked.as_users_run_it:
        name = f"{THEIRS}, without recomputation"
        found[name] = Program(python, "peer.training_theirs", [*theirs, "--no-recomputation"])
    for also in asked.also:
        found[f"{OURS}, {also}"] = ours("peer.training_ours", [str(scratch), *also.split(",")])
    return found


def judged(costs: Mapping[str, Mapping[str, Any]]) -> Round:
    """A round of every system, with how far its losses and norms are from the reference's."""
    expected = costs[THEIRS]["figures"]
    return Round(costs, {name: worst(costs[name]["figures"], expected) for name in list(costs)[1:]})


def worst(figures: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """The largest relative error of a loss or of a gradient's norm."""
    return max(
        relative_error(torch.tensor([figures[name]]), torch.tensor([value]))
        for name, value in expected.items()
    )


if __name__ == "__main__":
    sys.exit(main())
