"""arc_eval as its users run it: the `latent` generator built from settings, called with a prompt and a seed.

Only its text encoder is replaced, by the tokens that the reference gets too.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from arc_eval.generators import latent
from arc_eval.models.t5 import T5, TextStates
from arc_eval.records.prompt import Prompt
from peer.link import serve
from peer.material import CAPTION, TEXT, WEIGHTS
from peer.watch import Watch, facts


@dataclass(frozen=True)
class GivenText:
    """A text encoder that knows one caption."""

    states: Tensor
    mask: Tensor

    def __call__(self, texts: Sequence[str], max_length: int, device: torch.device) -> TextStates:
        """Its tokens for every text."""
        return TextStates(self.states.expand(len(texts), -1, -1), self.mask.expand(len(texts), -1))

    def identity(self) -> Mapping[str, str]:
        """They stand beside the weights, and nobody keeps what is made of them."""
        return {"t5": "given states"}


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `FOLDER STEPS`, builds the generator; gives what answers a request."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    asked = {"weights": str(folder / WEIGHTS), "sampler": "pingpong", "steps": steps}
    generator = latent.Settings.model_validate(asked).build()
    text = load_file(folder / TEXT)
    for module in generator.model.conditioner.modules():
        if isinstance(module, T5):
            module.use(GivenText(text["states"], text["mask"].bool()))
    watch = Watch()

    def call(output: str, seconds: float, seed: int, **_: object) -> Mapping[str, object]:
        prompt = Prompt("peer", CAPTION, seconds)
        audio, cost = watch.call(lambda: generator.generate([prompt], [seed], stage=watch.stage).samples[0])
        save_file({"audio": audio.contiguous()}, output)
        return cost

    return facts(("arc_eval", "torch", "numpy")) | {"identity": dict(generator.identity())}, call


if __name__ == "__main__":
    serve(load)
