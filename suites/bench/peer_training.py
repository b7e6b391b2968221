"""Times arc_eval's ARC post-training beside the reference implementation's, on this CPU, in one run.

Each system lives in a process of its own and trains for real: a step of the generator and one of the
discriminator, then it is the next system's turn. Losses and gradient norms must stay equal, round after
round, or nothing is written.

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
    add("--full", action="store_true", help="the official 341 million parameters; wants 24 GB of memory")
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
    """Makes the material, starts the systems, lets them train in turn."""
    python = reference_python(asked.environment)
    size = FULL if asked.full else Size(**{name: getattr(asked, name) for name in asdict(Size())})
    prepare(size, asked.batch, asked.rounds, scratch)
    with ExitStack() as running:
        started = {
            name: start(program, scratch / f"{number}.log", asked.threads, running)
            for number, (name, program) in enumerate(programs(python, scratch, asked).items())
        }
        # arc_eval starts first, to leave its discriminator's head; the table begins with the reference.
        systems = {name: started[name] for name in (THEIRS, *started)}
        rounds = [play(systems, pair, scratch) for pair in range(asked.rounds + 1)]
        facts = {name: worker.facts for name, worker in systems.items()}
    setting = {**asdict(size), "batch": asked.batch, **machine(asked.threads)}
    inexact = tuple(name for name in systems if "precision=" in name)
    return Comparison(setting, facts, rounds[0], rounds[1:], ("generator", "discriminator"), inexact)


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


def play(systems: Mapping[str, Worker], pair: int, scratch: Path) -> Round:
    """Two steps of each system on what arc_eval draws for them."""
    inputs = scratch / "inputs.safetensors"
    systems[OURS].ask(pair=pair, draw=str(inputs))
    costs = {
        name: worker.ask(pair=pair, **({"inputs": str(inputs)} if name.startswith(THEIRS) else {}))
        for name, worker in systems.items()
    }
    expected = costs[THEIRS]["figures"]
    others = list(systems)[1:]
    return Round(costs, {name: worst(costs[name]["figures"], expected) for name in others})


def worst(figures: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """The largest relative error of a loss or of a gradient's norm."""
    return max(
        relative_error(torch.tensor([figures[name]]), torch.tensor([value]))
        for name, value in expected.items()
    )


if __name__ == "__main__":
    sys.exit(main())
