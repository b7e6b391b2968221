"""arc_eval's extractors as a suite runs them: the next clip is read while the network is at this one."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from arc_eval import registry
from arc_eval.dsp import read_audio
from arc_eval.pipeline.hearing import heard_by
from peer.link import serve
from peer.watch import Watch, facts


@dataclass(frozen=True)
class File:
    """An item of the pipeline that is read from a file."""

    owner: str

    @property
    def audio(self) -> "File":
        """Itself: it is read where it lies."""
        return self

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate."""
        return read_audio(Path(self.owner))


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `SETTINGS`, builds the extractor; gives what answers a request."""
    extractor = registry.settings("extractors", json.loads(sys.argv[1]), "extractor").build()
    watch = Watch()

    def call(files: list[str], output: str) -> Mapping[str, object]:
        items = [File(file) for file in files]
        described, cost = watch.call(lambda: heard_by([extractor], items, 1))  # type: ignore[arg-type]
        assert not any(lost for _, lost in described[0]), described[0]
        save_file({str(place): rows.contiguous() for place, (rows, _) in enumerate(described[0])}, output)
        return cost

    return facts(("arc_eval", "torch", "numpy")) | {"fingerprint": dict(extractor.fingerprint())}, call


if __name__ == "__main__":
    serve(load)
