"""Training checkpoints under the names of the model that they train.

The official training scripts hold the network beside its moving average (EMA) and everything else that
trains: `diffusion.X` is the live `X`; `diffusion_ema.ema_model.X` is the average of `model.X`, the
denoising network alone. Autoencoders are `autoencoder.X` and, whole, `autoencoder_ema.ema_model.X`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.state import DERIVED, listed, renamed

TRAINING_ONLY = (
    "clap_model.", "discriminator.", "discriminator_head.", "eval_losses.", "losses.", "losses_disc.",
    "losses_gen.", "lrstft.", "sdstft.", "teacher_model.",
)  # fmt: skip
"""What the training scripts keep for their losses: left out by name, so that nothing unknown is."""

BOOKKEEPING = ("initted", "step", "online_model.")
"""What a moving average keeps beside the averaged network."""


@dataclass(frozen=True)
class Wrapper:
    """Names of one training script: prefixes of the live network and of its average, and what that covers."""

    live: str
    average: str
    averaged: str


DIFFUSION = Wrapper("diffusion.", "diffusion_ema.", "model.")
AUTOENCODER = Wrapper("autoencoder.", "autoencoder_ema.", "")


def unwrapped(
    tensors: Mapping[str, Tensor], wrapper: Wrapper, ema: bool | None, where: str
) -> dict[str, Tensor]:
    """The model's tensors under its own names; those of any other file as they are.

    ema: True takes the averaged weights, False the live ones, None the averaged ones of every training
    checkpoint. Unknown names stay, for strict loading to name. Raises CheckpointError if averaged
    weights are asked for and absent or incomplete, or if a tensor is there under its own name as well.
    """
    average = _within(tensors, f"{wrapper.average}ema_model.")
    live = _within(tensors, wrapper.live)
    training = bool(average or live)
    if not average and (ema or (training and ema is None)):
        kind = "training checkpoint" if training else "file of released weights"
        raise CheckpointError(
            f"{where}: this {kind} holds no averaged (EMA) weights; `ema: false` takes the weights it has"
        )
    if not training:
        return dict(tensors)
    kept = {name: name for name in tensors if not _of_training(name, wrapper)}
    own = renamed(kept | {f"{wrapper.live}{name}": name for name in live}, tensors, where)
    if ema is False:
        return own
    averaged = {f"{wrapper.average}ema_model.{name}": f"{wrapper.averaged}{name}" for name in average}
    averages = renamed(kept | averaged, tensors, where)
    lacking = [name for name in live if name.startswith(wrapper.averaged) and name not in averages]
    lacking = [name for name in lacking if not name.endswith(DERIVED)]
    if lacking:
        raise CheckpointError(
            f"{where}: the averaged (EMA) weights are incomplete:\n{listed('missing', lacking)}\n"
            "`ema: false` takes the live ones"
        )
    return {**own, **averages}


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}


def _of_training(name: str, wrapper: Wrapper) -> bool:
    """Whether it has been taken under another name or serves training alone."""
    keeping = tuple(wrapper.average + entry for entry in ("ema_model.", *BOOKKEEPING))
    return name.startswith((wrapper.live, *keeping, *TRAINING_ONLY))
