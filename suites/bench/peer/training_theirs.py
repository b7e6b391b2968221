"""The reference's ARC post-training: `ARCTrainingWrapper.training_step` of stable-audio-tools, eager float32.

Left as it is: the factory, strict loading, the step with its losses and its logging, AdamW, the average.
Handed in: latents (it calls them pre-encoded), what its conditioners would say, times and noise. PyTorch
Lightning is not there: its module's few members that a step uses are below, and a Trainer's time is not
counted. `--no-recomputation` takes away the activation checkpointing that is written into the step.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from peer.link import serve
from peer.theirs import ABSENT, build, drawing, stand_in
from peer.watch import Watch, facts, forget_peak

ABSENT_IN_TRAINING = (
    *ABSENT,
    "pytorch_lightning.loggers",
    "pytorch_lightning.strategies",
    "pytorch_lightning.strategies.fsdp",
    "inf_cl",
    "wandb",
    "matplotlib",
    "matplotlib.cm",
    "matplotlib.colors",
    "matplotlib.figure",
    "matplotlib.ticker",
    "matplotlib.backends",
    "matplotlib.backends.backend_agg",
    "PIL",
)
"""Imported at the top of its modules: loggers, plots, other ways to train."""
FIGURES = {
    "train/gen_loss": "generator",
    "train/dis_loss": "discriminator",
    "train/contrastive_loss_dis": "contrastive",
}
"""Its names of what arc_eval logs too."""


class Lightning(nn.Module):
    """What a step uses of a LightningModule with manual optimisation."""

    device = torch.device("cpu")
    logger = None

    def __init__(self) -> None:
        super().__init__()
        self.global_step = 0
        self.logged: Mapping[str, float] = {}
        self.made: list[torch.optim.Optimizer] = []

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that `configure_optimizers` made."""
        return self.made

    def lr_schedulers(self) -> None:
        """None: the rate is constant."""

    def manual_backward(self, loss: Tensor) -> None:
        """Gradients, as they are without a Trainer's precision plug-in."""
        loss.backward()  # type: ignore[no-untyped-call]

    def log_dict(self, figures: Mapping[str, float], **_: object) -> None:
        """Keeps what was logged last."""
        self.logged = figures


class Given(nn.Module):
    """A conditioner that says what it was told to say, call after call."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Mapping[str, tuple[Tensor, Tensor]]] = []

    def forward(self, metadata: object, device: object) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The next answer, whatever is asked."""
        return self.answers.pop(0)


def wrapper(folder: Path) -> Any:
    """The training module as its factory makes it, with arc_eval's discriminator head."""
    from stable_audio_tools.training.factory import create_training_wrapper_from_config

    model, config = build(folder / "model")
    config["training"] = json.loads((folder / "training.json").read_text("utf-8"))
    made: Any = create_training_wrapper_from_config(config, model)
    made.discriminator_head.load_state_dict(load_file(folder / "head.safetensors"), strict=True)
    for network in (made.diffusion, made.discriminator):
        network.conditioner = Given()
    made.made = made.configure_optimizers()
    return made.train()


def without_recomputation() -> None:
    """Makes its activation checkpointing, which no option of it turns off, call what it is given."""
    from stable_audio_tools.models import transformer
    from stable_audio_tools.training import arc

    def direct(function: Any, *inputs: object, **options: object) -> Any:
        return function(*inputs, **options)

    transformer.checkpoint = arc.checkpoint = direct


def conditioning(given: Mapping[str, Tensor], which: str) -> dict[str, tuple[Tensor, Tensor]]:
    """As its conditioner says it, from arc_eval's cross tokens (the seconds come last) and global vector."""
    cross, seconds = given[f"{which}.cross"], given[f"{which}.global"][:, None]
    said = {"prompt": cross[:, :-1], "seconds_total": seconds}
    return {name: (tokens, torch.ones(tokens.shape[:2])) for name, tokens in said.items()}


def step(made: Any, given: Mapping[str, Tensor]) -> dict[str, float]:
    """One call of its `training_step`; losses, and the gradient's norm before clipping."""
    right = conditioning(given, "right")
    made.diffusion.conditioner.answers = [right]
    made.discriminator.conditioner.answers = [right]
    if "wrong.cross" in given:
        made.discriminator.conditioner.answers.append(conditioning(given, "wrong"))
    made.gen_noise_dist, made.dis_noise_dist = (lambda count: given["t"]), (lambda count: given["s"])
    latents = given["latents"]
    metadata = [
        {"prompt": str(clip), "padding_mask": [torch.ones(latents.shape[-1])]} for clip in range(len(latents))
    ]
    norms: list[Tensor] = []
    clip = torch.nn.utils.clip_grad_norm_

    def clipped(*inputs: Any, **options: Any) -> Tensor:
        norms.append(clip(*inputs, **options))
        return norms[-1]

    with (
        drawing((given["noise"], given["renoise"])),
        patch.object(torch.nn.utils, "clip_grad_norm_", clipped),
    ):
        made.training_step((latents, metadata), made.global_step)
    made.global_step += 1
    found = {ours: made.logged[theirs] for theirs, ours in FIGURES.items() if theirs in made.logged}
    return {**found, "norm": float(norms[0])}


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `FOLDER [--no-recomputation]`; gives what answers a request."""
    stand_in(ABSENT_IN_TRAINING)
    sys.modules["pytorch_lightning"].LightningModule = Lightning  # type: ignore[attr-defined]
    folder = Path(sys.argv[1])
    made = wrapper(folder)
    if "--no-recomputation" in sys.argv:
        without_recomputation()
    watch = Watch()

    def call(pair: int) -> Mapping[str, object]:
        if made.global_step != 2 * pair:
            raise RuntimeError(f"pair {pair} was asked for, but step {made.global_step} is next")
        given = load_file(folder / f"drawn-{pair}.safetensors")
        figures: dict[str, float] = {}

        def both() -> None:
            for name in ("generator", "discriminator"):
                drawn = {
                    key.removeprefix(f"{name}."): value
                    for key, value in given.items()
                    if key.startswith(f"{name}.")
                }
                with watch.stage(name):
                    found = step(made, drawn)
                figures[f"{name} norm"] = found.pop("norm")
                figures.update(found)

        _, cost = watch.call(both)
        return {**cost, "figures": figures}

    told = facts(("stable-audio-tools", "torch", "numpy"))
    forget_peak()
    return told, call


if __name__ == "__main__":
    serve(load)
