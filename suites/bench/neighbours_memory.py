"""Peak memory and time of precision, recall, density and coverage of many rows; writes JSON.

    python suites/bench/neighbours_memory.py --rows 50000 --features 512 --out neighbours.json

The whole matrix of distances of 50,000 x 50,000 rows would take 20 GB, and `prdc` holds three. The peak is
the whole process's: Python, torch, both sets of rows and all work.
"""

import argparse
import json
import platform
import resource
import sys
import time
from pathlib import Path

import torch

from arc_eval.metrics.manifold import neighbourhoods


def resident() -> float:
    """The most memory this process has held so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


def main() -> None:
    """Measures one size and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("neighbours_memory.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = torch.Generator().manual_seed(0)
    sets = [torch.randn(options.rows, options.features, generator=rng, dtype=torch.float64) for _ in range(2)]
    before, wall, cpu = resident(), time.perf_counter(), time.process_time()
    (found,) = neighbourhoods(*sets, options.k)
    result = {
        "rows": options.rows,
        "features": options.features,
        "k": options.k,
        "threads": options.threads,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb_before": before,
        "peak_mb": resident(),
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
