"""arc_eval as its users run it: the `latent` generator built from settings, called with a prompt and a seed.

Only its text encoder is replaced, by invented tokens that the reference gets too.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from arc_eval.generators import latent
from arc_eval.records.prompt import Prompt
from peer.link import serve
from peer.material import CAPTION, WEIGHTS
from peer.text import invent_text
from peer.watch import Watch, facts


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `FOLDER STEPS`, builds the generator; gives what answers a request."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    asked = {"weights": str(folder / WEIGHTS), "sampler": "pingpong", "steps": steps}
    generator = latent.Settings.model_validate(asked).build()
    invent_text(generator.model.conditioner)
    watch = Watch()

    def call(output: str, seconds: float, seed: int, **_: object) -> Mapping[str, object]:
        prompt = Prompt("peer", CAPTION, seconds)
        audio, cost = watch.call(lambda: generator.generate([prompt], [seed], stage=watch.stage).samples[0])
        save_file({"audio": audio.contiguous()}, output)
        return cost

    return facts(("arc_eval", "torch", "numpy")) | {"identity": dict(generator.identity())}, call


if __name__ == "__main__":
    serve(load)
