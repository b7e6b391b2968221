"""Times arc_eval's Stable Audio Open Small beside the reference implementation's, on this CPU, in one run.

Each system lives in a process and an environment of its own; the driver calls them in turn, so that a machine
whose speed drifts is equally slow to both. Their audio must be equal, or nothing is written.

    python suites/bench/peer_stable_audio_tools.py ENVIRONMENT [--rounds 10] [--out FOLDER]
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from peer.environment import REFERENCE, reference_python
from peer.link import Worker
from peer.material import WEIGHTS, Take, prepare
from peer.summary import TOLERANCE, Comparison, Round, markdown, relative_error, write
from safetensors.torch import load_file

from arc_eval.targets.local import Settings as Local

OUT = Path(__file__).resolve().parents[2] / "reports/measured/peer-stable-audio-tools"


def main() -> int:
    """The command line. 0 if the outputs were equal, 1 if not."""
    asked = arguments()
    with TemporaryDirectory(dir=asked.work, prefix="peer-") as scratch:
        comparison = compare(asked, Path(scratch))
    print(markdown(comparison))
    error = comparison.worst_error
    if not error < TOLERANCE:
        print(f"not equal: relative error {error:.2e}, must be below {TOLERANCE:g}", file=sys.stderr)
        return 1
    write(comparison, asked.out)
    print(f"written to {asked.out}")
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("environment", type=Path, help="folder of the reference's environment; made if it is not there")
    add("--weights", default="random/stable-audio-open-small", help="anything that arc_eval loads")
    add("--steps", type=int, default=8)
    add("--rounds", type=int, default=10, help="timed calls of each system; an interval needs 5")
    add("--threads", type=int, help="for every system; default: what torch chooses")
    add(
        "--also",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a third system: arc_eval with this set",
    )
    add("--out", type=Path, default=OUT)
    add("--work", type=Path, help="where 2 GB of weights lie meanwhile; default: the system's place")
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    if any("=" not in pair for pair in asked.also):
        parser.error("--also takes NAME=VALUE")
    return asked


def compare(asked: argparse.Namespace, scratch: Path) -> Comparison:
    """Makes the material, starts the systems, calls them in turn."""
    python = reference_python(asked.environment)
    takes = prepare(asked.weights, scratch, asked.rounds + 1, asked.steps)
    with ExitStack() as running:
        systems = start(python, scratch, asked, running)
        rounds = [play(systems, take, scratch) for take in takes]
        facts = {name: worker.facts for name, worker in systems.items()}
    machine = Local(threads=asked.threads).build().machine()
    setting = {
        "weights": asked.weights,
        "steps": asked.steps,
        "seconds": round(takes[0].seconds, 3),
        "CPU": machine.cpu,
        "cores": machine.cores,
        "threads asked": asked.threads or "none",
    }
    return Comparison(setting, facts, rounds[0], rounds[1:])


def start(python: Path, scratch: Path, asked: argparse.Namespace, running: ExitStack) -> dict[str, Worker]:
    """The systems in the order in which they are called, the reference first; `running` ends them."""
    threads = {"OMP_NUM_THREADS": str(asked.threads)} if asked.threads else {}

    def worker(python: Path, module: str, folder: Path, also: Sequence[str] = ()) -> Worker:
        variables = threads | dict(pair.split("=", 1) for pair in also)
        log = scratch / f"{module}{len(also)}.log"
        return running.enter_context(
            closing(Worker(python, module, [str(folder), str(asked.steps)], variables, log))
        )

    ours = Path(sys.executable)
    systems = {
        REFERENCE.replace("==", " "): worker(python, "peer.theirs", scratch / WEIGHTS),
        "arc_eval": worker(ours, "peer.ours", scratch),
    }
    if asked.also:
        systems[f"arc_eval, {' '.join(asked.also)}"] = worker(ours, "peer.ours", scratch, asked.also)
    return systems


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
