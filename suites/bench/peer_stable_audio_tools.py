"""Times arc_eval's Stable Audio Open Small beside the reference implementation's, on this CPU, in one run.

Each system lives in a process and an environment of its own; the driver calls them in turn, so that a machine
whose speed drifts is equally slow to both. Their audio must be equal, or nothing is written.

    python suites/bench/peer_stable_audio_tools.py ENVIRONMENT [--rounds 10] [--out FOLDER]
"""

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from peer.driver import Program, checked, machine, ours, parser, report, start
from peer.environment import REFERENCE, reference_python
from peer.link import Worker
from peer.material import WEIGHTS, Take, prepare
from peer.summary import Comparison, Round, relative_error
from safetensors.torch import load_file


def main() -> int:
    """The command line. 0 if the outputs were equal, 1 if not."""
    asked = arguments()
    with TemporaryDirectory(dir=asked.work, prefix="peer-") as scratch:
        comparison = compare(asked, Path(scratch))
    return report(comparison, asked.out)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    made = parser(__doc__ or "", "peer-stable-audio-tools")
    add = made.add_argument
    add("--weights", default="random/stable-audio-open-small", help="anything that arc_eval loads")
    add("--steps", type=int, default=8)
    add(
        "--also",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a third system: arc_eval with this in its environment",
    )
    return checked(made)


def compare(asked: argparse.Namespace, scratch: Path) -> Comparison:
    """Makes the material, starts the systems, calls them in turn."""
    python = reference_python(asked.environment)
    takes = prepare(asked.weights, scratch, asked.rounds + 1, asked.steps)
    with ExitStack() as running:
        systems = {
            name: start(program, scratch / f"{number}.log", asked.threads, running)
            for number, (name, program) in enumerate(programs(python, scratch, asked).items())
        }
        rounds = [play(systems, take, scratch) for take in takes]
        facts = {name: worker.facts for name, worker in systems.items()}
    setting = {
        "weights": asked.weights,
        "steps": asked.steps,
        "seconds": round(takes[0].seconds, 3),
        **machine(asked.threads),
    }
    return Comparison(setting, facts, rounds[0], rounds[1:], stages=("step", "decode"))


def programs(python: Path, scratch: Path, asked: argparse.Namespace) -> dict[str, Program]:
    """The systems in the order in which they are called, the reference first."""
    steps = str(asked.steps)
    found = {
        REFERENCE.replace("==", " "): Program(python, "peer.theirs", [str(scratch / WEIGHTS), steps]),
        "arc_eval": ours("peer.ours", [str(scratch), steps]),
    }
    if asked.also:
        found[f"arc_eval, {' '.join(asked.also)}"] = ours("peer.ours", [str(scratch), steps], asked.also)
    return found


def play(systems: Mapping[str, Worker], take: Take, scratch: Path) -> Round:
    """One call of each system; what they made is compared and thrown away."""
    output = scratch / "out.safetensors"
    costs, audio = {}, {}
    for name, worker in systems.items():
        costs[name] = worker.ask(
            inputs=str(take.inputs), output=str(output), seed=take.seed, seconds=take.seconds
        )
        audio[name] = load_file(output)["audio"]
        output.unlink()
    expected, *_ = audio.values()
    others = list(systems)[1:]
    return Round(costs, {name: relative_error(audio[name], expected) for name in others})


if __name__ == "__main__":
    sys.exit(main())
