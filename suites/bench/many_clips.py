"""Does the cost of a clip stay the same, and memory flat, up to 100,000 clips? Writes JSON and a plot.

    python suites/bench/many_clips.py reports/measured/metrics/many_clips.json

Half-second clips of noise go through the pipeline's own extraction (one decode, packs on disk) and into a
Fréchet distance with its interval; each number of clips in a process of its own, with an empty store. A clip
has 20 rows of 256 features, 20 kB, as OpenL3 has of ten seconds. Memory is what the process holds of its
own (anonymous pages): large tables lie in mapped files, whose pages the system takes back when it needs
them. Linux only.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import torch
from peer.driver import machine
from peer.spectra import Noise, Settings

from arc_eval.contracts import Evidence, silent
from arc_eval.metrics.frechet import Frechet
from arc_eval.pipeline.extract import describe
from arc_eval.pipeline.items import Item
from arc_eval.pipeline.pool import Pool
from arc_eval.records.audio import clip_id
from arc_eval.records.embedding import Embedding
from arc_eval.records.measurement import Counts
from arc_eval.records.prompt import Prompt
from arc_eval.store import Store
from arc_eval.suite import Part

REFERENCE = 2000
"""Recordings that every number of clips is compared with."""


def main() -> None:
    """The command line: all sizes, or (in the process of one) a single one."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("out", type=Path)
    made.add_argument("--clips", type=int, nargs="+", default=[6250, 12500, 25000, 50000, 100_000])
    made.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = made.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one)))
        return
    sizes = []
    for count in asked.clips:
        command = [sys.executable, __file__, str(asked.out), "--one", str(count)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        sizes.append(json.loads(said))
        print(sizes[-1], file=sys.stderr)
    asked.out.write_text(json.dumps({**machine(1), **fitted(sizes), "sizes": sizes}, indent=1) + "\n")
    plot(sizes, asked.out.with_suffix(".svg"))


def measured(count: int) -> dict[str, float]:
    """Extraction and a Fréchet distance of so many clips."""
    torch.set_num_threads(1)
    parts = {"spectra": Part(kind="spectra", settings=Settings())}
    with TemporaryDirectory(dir=Path.cwd()) as folder, Pool(1) as pool, most_memory() as memory:
        store = Store(Path(folder))
        started = memory["now"]

        def heard(first: int, number: int) -> Embedding:
            seeds = range(first, first + number)
            items = [Item(clip_id(str(seed), 0), {"seed": str(seed)}, Noise(seed)) for seed in seeds]
            return describe(parts, items, store, pool, silent, "")["spectra"].rows

        reference = heard(10**6, REFERENCE)
        wall, cpu = time.perf_counter(), time.process_time()
        generated = heard(0, count)
        extracted = time.process_time() - cpu
        evidence = Evidence(
            {str(seed): Prompt(str(seed), "", 0.5) for seed in range(count)},
            {"spectra": generated},
            {"spectra": reference},
            counts=Counts(count, count, count),
        )
        distance, *_ = Frechet("spectra").measure(evidence)
        return {
            "clips": count,
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "extraction_cpu_seconds": extracted,
            "table_mb": generated.values.nbytes / 1e6,
            "memory_mb_at_start": started,
            "peak_memory_mb": memory["most"],
            "fd": distance.value,
        }


@contextmanager
def most_memory() -> Iterator[dict[str, float]]:
    """Watches this process's own memory in MB; `most` is its peak so far."""
    seen = {"now": own_memory(), "most": own_memory()}
    over = Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen["most"] = max(seen["most"], own_memory())

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    yield seen
    over.set()
    watcher.join()


def own_memory() -> float:
    """MB of anonymous pages in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise OSError("/proc/self/status has no RssAnon; this needs Linux")


def fitted(sizes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Straight lines through time and memory: the cost of a clip, and how well the line holds."""
    clips = torch.tensor([size["clips"] for size in sizes], dtype=torch.float64)
    found = {}
    for name, unit in (("cpu_seconds", 1e3), ("peak_memory_mb", 1e3)):
        values = torch.tensor([size[name] for size in sizes], dtype=torch.float64)
        line = torch.stack([torch.ones_like(clips), clips], 1)
        (start, slope), *_ = torch.linalg.lstsq(line, values)
        rest = values - start - slope * clips
        found[f"{name}_per_1000_clips"] = float(slope * unit)
        found[f"{name}_r_squared"] = float(1 - rest.var() / values.var())
    return found


def plot(sizes: Sequence[Mapping[str, float]], path: Path) -> None:
    """Time and memory over the number of clips."""
    import altair
    import pandas

    table = pandas.DataFrame(list(sizes))
    points = altair.Chart(table).mark_line(point=True).encode(x=altair.X("clips", title="clips"))
    time_ = points.encode(y=altair.Y("cpu_seconds", title="CPU seconds")).properties(width=320, height=240)
    memory = points.encode(y=altair.Y("peak_memory_mb", title="peak of own memory, MB"))
    (time_ | memory.properties(width=320, height=240)).save(str(path))


if __name__ == "__main__":
    main()
