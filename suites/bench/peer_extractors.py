"""Times arc_eval's OpenL3, PaSST and CLAP beside the networks that published scores were taken with.

Same weights (random, of the official sizes), same files, this CPU, one run: in each round twenty clips go
through the PyPI network in float32, one after the other, then through arc_eval's extraction in float32 and
in bfloat16. Rows in float32 must agree to 1e-4, or nothing is written.

    python suites/bench/peer_extractors.py ENVIRONMENT [--rounds 10] [--only passt]
"""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peer.driver import Program, checked, machine, ours, parser, start
from peer.environment import extractors_python
from peer.extractor_material import RANDOM_PASST, clips, weights
from peer.summary import Comparison, Round, markdown, relative_error, write
from safetensors.torch import load_file
from torch import Tensor

from arc_eval.metrics.frechet import frechet_distance
from arc_eval.metrics.label_kl import label_divergence

SETTINGS: Mapping[str, dict[str, Any]] = {
    "openl3": {"kind": "openl3", "weights": "random", "rate": None},
    "passt": {"kind": "passt", "weights": RANDOM_PASST},
    "clap": {"kind": "clap", "weights": "random"},
}
RATES = {"openl3": 48000, "passt": 44100, "clap": 44100}
"""Of the files. OpenL3's is its own: the rounding of a resampler alone changes its rows by 2e-3."""
THEIRS = {"openl3": "torchopenl3 1.0.1", "passt": "hear21passt 0.0.26", "clap": "laion-clap 1.1.7"}
OURS, HALF = "arc_eval", "arc_eval, bfloat16"
TOGETHER = 20
"""Clips of a round."""
TOLERANCE = 1e-4
"""Relative error of a clip's rows up to which they count as equal."""


def main() -> int:
    """The command line. 0 if all rows were equal, 1 if not."""
    made = parser(__doc__ or "", "peer-extractors")
    made.set_defaults(rounds=10)
    made.add_argument("--only", choices=SETTINGS, action="append", help="these extractors")
    made.add_argument("--also", action="append", default=[], help=argparse.SUPPRESS)
    asked = checked(made)
    python = extractors_python(asked.environment)
    code = 0
    with TemporaryDirectory(dir=asked.work, prefix="peer-") as scratch:
        for kind in asked.only or SETTINGS:
            files = clips((asked.rounds + 1) * TOGETHER, RATES[kind], Path(scratch))
            code |= compare(kind, python, files, Path(scratch), asked)
    return code


def compare(kind: str, python: Path, files: list[Path], scratch: Path, asked: argparse.Namespace) -> int:
    """One extractor: the files of a round by every system in turn; written if all rows are equal."""
    programs = {
        THEIRS[kind]: Program(python, "peer.extractors_theirs", [kind, str(weights(kind, scratch))]),
        OURS: ours("peer.extractors_ours", [json.dumps(SETTINGS[kind])]),
        HALF: ours("peer.extractors_ours", [json.dumps({**SETTINGS[kind], "precision": "bfloat16"})]),
    }
    rounds: list[Round] = []
    rows: dict[str, list[Tensor]] = {name: [] for name in programs}
    with ExitStack() as running:
        workers = {
            name: start(program, scratch / f"{kind}-{place}.log", asked.threads, running)
            for place, (name, program) in enumerate(programs.items())
        }
        for start_at in range(0, len(files), TOGETHER):
            asked_for = [str(file) for file in files[start_at : start_at + TOGETHER]]
            costs: dict[str, Mapping[str, Any]] = {}
            for name, worker in workers.items():
                costs[name] = worker.ask(files=asked_for, output=str(scratch / "rows.safetensors"))
                found = load_file(scratch / "rows.safetensors")
                rows[name] += [found[str(place)] for place in range(TOGETHER)]
            expected = rows[THEIRS[kind]][start_at:]
            errors = {
                name: max(map(relative_error, rows[name][start_at:], expected)) for name in (OURS, HALF)
            }
            rounds.append(Round(costs, errors))
            print(f"{kind} {len(rounds) * TOGETHER}/{len(files)}", file=sys.stderr)
        known = {name: worker.facts for name, worker in workers.items()}
    setting = {
        "clips": f"{len(files) - TOGETHER} of 10 s at {RATES[kind]} Hz, half of them mono",
        "clips a round": TOGETHER,
        "weights": "random, official sizes",
        **machine(asked.threads),
        **half_precision(kind, rows[OURS], rows[HALF]),
    }
    compared = Comparison(setting, known, rounds[0], rounds[1:], (), (HALF,))
    print(markdown(compared))
    if not compared.worst_error < TOLERANCE:
        print(f"{kind}: not equal: {compared.worst_error:.2e}, must be below {TOLERANCE:g}", file=sys.stderr)
        return 1
    write(compared, asked.out / kind)
    return 0


def half_precision(kind: str, exact: list[Tensor], rounded: list[Tensor]) -> dict[str, str]:
    """What bfloat16 does to the score: the first half of the clips judged against the second half."""
    half = len(exact) // 2
    scores = []
    for rows in (exact, rounded):
        ours, theirs = torch.cat(rows[:half]), torch.cat(rows[half : 2 * half])
        if kind == "openl3":
            scores.append(frechet_distance(ours, theirs))
        elif kind == "passt":
            scores.append(float(label_divergence(ours, theirs).mean()))
        else:
            scores.append(float((ours * theirs).sum(1).mean()))
    name = {"openl3": "FD", "passt": "KL", "clap": "mean cosine"}[kind]
    return {f"{name} of half the clips against the others": "{:.6g}, in bfloat16 {:.6g}".format(*scores)}


if __name__ == "__main__":
    sys.exit(main())
