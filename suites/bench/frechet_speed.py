"""Times the Fréchet distance against scipy's matrix square root, one thread each, in turns; writes JSON.

    python suites/bench/frechet_speed.py --out frechet_speed.json

"distance": from fitted statistics to the number, what each subset, jackknife or comparison costs. Theirs:
two covariances, `scipy.linalg.sqrtm` of their product, traces. Ours: two factors, `gaussian_distance`.
"from rows": the same with the fit: `numpy.cov` twice, or `frechet_distance`. Seconds are CPU seconds,
the least of the rounds; both numbers must agree to 1e-8, or nothing is written.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
import torch
from scipy.linalg import sqrtm

from arc_eval.metrics.frechet import Gaussian, frechet_distance, gaussian_distance

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CASES = {"512": (4000, 2000, 512), "1024": (4875, 2000, 1024), "1024, 881 rows": (4875, 881, 1024)}
"""Name to rows, reference rows, features. Of 881 rows the covariance is singular."""


def drawn(rows: int, features: int, seed: int) -> torch.Tensor:
    """Rows of correlated features, float64[row, feature]."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(features, features, generator=rng, dtype=torch.float64) / features**0.5
    return torch.randn(rows, features, generator=rng, dtype=torch.float64) @ mix


Statistics = tuple[np.ndarray, np.ndarray]


def statistics(rows: torch.Tensor) -> Statistics:
    """Mean and covariance, as the usual tools keep them."""
    return rows.numpy().mean(0), np.cov(rows.numpy(), rowvar=False)


def by_square_root(a: Statistics, b: Statistics) -> float:
    """The usual formula."""
    shift, root = a[0] - b[0], sqrtm(a[1] @ b[1])
    return float(shift @ shift + np.trace(a[1]) + np.trace(b[1]) - 2 * np.trace(root).real)


def timed(call: Callable[[], float]) -> tuple[float, float]:
    """The call's value and its CPU seconds."""
    start = time.process_time()
    return call(), time.process_time() - start


def case(rows: int, others: int, features: int, rounds: int) -> dict[str, object]:
    """Both stages of one size."""
    a, b = drawn(rows, features, 1), drawn(others, features, 2) + 0.05
    factors = Gaussian.fit(a), Gaussian.fit(b)
    fitted = statistics(a), statistics(b)
    stages: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "distance": (lambda: gaussian_distance(*factors), lambda: by_square_root(*fitted)),
        "from rows": (
            lambda: frechet_distance(a, b),
            lambda: by_square_root(statistics(a), statistics(b)),
        ),
    }
    found: dict[str, object] = {"rows": rows, "reference_rows": others, "features": features}
    for stage, (ours, theirs) in stages.items():
        both = [(timed(ours), timed(theirs)) for _ in range(rounds)]
        ours_value, theirs_value = both[-1][0][0], both[-1][1][0]
        apart = abs(ours_value - theirs_value) / theirs_value
        if apart > 1e-8:
            sys.exit(f"{features} features, {stage}: {ours_value} and {theirs_value} differ by {apart:.1e}")
        fast, slow = (min(times[side][1] for times in both) for side in (0, 1))
        found[stage] = {
            "ours_seconds": fast,
            "scipy_seconds": slow,
            "times_as_fast": slow / fast,
            "apart": apart,
        }
    return found


def main() -> None:
    """Times every case and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("frechet_speed.json"))
    options = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        # Libraries read it once, when they are loaded: so a process that has them already starts afresh.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    result = {
        "versions": {"scipy": scipy.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.processor() or platform.machine()}, one thread",
        "rounds": options.rounds,
        "cases": {name: case(*sizes, options.rounds) for name, sizes in CASES.items()},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["cases"], indent=1))


if __name__ == "__main__":
    main()
