"""The reference: `generate_diffusion_cond` of stable-audio-tools, eager float32, as its users call it.

Left as it is: its model factory, strict loading, sampler and decoder. Handed in: the noise (it draws from
torch's process-wide stream), the caption's tokens, and the schedule's first log-SNR.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from peer.link import serve
from peer.watch import Watch, facts

ABSENT = (
    "torchaudio",
    "torchaudio.transforms",
    "alias_free_torch",
    "pytorch_lightning",
    "pytorch_lightning.callbacks",
)
"""Imported by the reference at the top of its modules, but not used in inference with this model."""


class Absent(ModuleType):
    """Stands for a package that is not installed: its names can be imported and not used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": _refuse})


def _refuse(self: object, *arguments: object, **options: object) -> None:
    raise ImportError(f"{type(self).__name__} is of a package that this environment does without")


def stand_in(absent: Sequence[str]) -> None:
    """Lets the reference be imported without packages that it will not use; parents before children."""
    for name in absent:
        sys.modules[name] = Absent(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])


@contextmanager
def drawing(noise: Iterable[Tensor]) -> Iterator[None]:
    """Whatever draws normal numbers inside gets the next of `noise`, each float32[clip, channel, frame]."""
    draws = iter(noise)

    def draw(*shape: object, **options: object) -> Tensor:
        return next(draws).clone()

    with patch.object(torch, "randn", draw), patch.object(torch, "randn_like", draw):
        yield
    left = len(list(draws))
    if left:
        raise RuntimeError(f"the reference left {left} draws of noise unused")


def build(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The reference's model of a folder, every tensor loaded, and its configuration; no text encoder."""
    from stable_audio_tools.models.factory import create_model_from_config
    from stable_audio_tools.models.utils import load_ckpt_state_dict

    config: dict[str, Any] = json.loads((folder / "model_config.json").read_text("utf-8"))
    conditioning = config["model"]["conditioning"]
    # Its factory would download the encoder here; it has no tensor in the checkpoint.
    conditioning["configs"] = [entry for entry in conditioning["configs"] if entry["type"] != "t5"]
    model = create_model_from_config(config)
    model.load_state_dict(load_ckpt_state_dict(str(folder / "model.safetensors")), strict=True)
    return model, config


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `FOLDER STEPS`, loads the model; gives what answers a request."""
    stand_in(ABSENT)
    from stable_audio_tools.inference.generation import generate_diffusion_cond
    from stable_audio_tools.inference.sampling import LogSNRShift

    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    model, config = build(folder)
    watch = Watch()
    network: Any = model.eval().requires_grad_(False)
    network.model.forward = watch.staged("step", network.model.forward)
    network.pretransform.decode = watch.staged("decode", network.pretransform.decode)
    # 0.0.20's default begins at -6.2; 0.0.19's began at -6, and so does arc_eval's.
    schedule = LogSNRShift(rate=0, anchor_logsnr=-6.0, logsnr_end=2.0)

    def generate(inputs: Mapping[str, Tensor], seconds: float) -> Tensor:
        conditioning = network.conditioner([{"seconds_total": seconds}], "cpu")
        conditioning["prompt"] = (inputs["text"], inputs["mask"])
        out: Tensor = generate_diffusion_cond(
            network,
            steps=steps,
            cfg_scale=1.0,
            conditioning_tensors=conditioning,
            sample_size=config["sample_size"],
            seed=0,
            device="cpu",
            sampler_type="pingpong",
            dist_shift=schedule,
        )
        return out[0]

    def call(inputs: str, output: str, seconds: float, **_: object) -> Mapping[str, object]:
        given = load_file(inputs)
        with torch.no_grad(), drawing(given["noise"].unsqueeze(1)):
            audio, cost = watch.call(lambda: generate(given, seconds))
        save_file({"audio": audio.contiguous()}, output)
        return cost

    return facts(("stable-audio-tools", "torch", "numpy")), call


if __name__ == "__main__":
    serve(load)
