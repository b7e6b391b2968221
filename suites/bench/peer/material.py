"""What both sides are handed: one folder of weights, the caption's tokens, the noise of each take.

The noise is what arc_eval draws for a seed: the initial latents, then one draw for each step. Its sampler
leaves the last one undrawn; the reference draws it and multiplies it by zero.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.dit import DiT
from arc_eval.models.random_weights import SMALL
from arc_eval.models.weights import load_model, save_model
from arc_eval.seeding import clip_generators, clip_noise, clip_seed
from peer.text import invented

WEIGHTS = "model"
CAPTION = "rain on a tin roof, thunder far away"
GAIN = 1.4
"""Of the decoder's convolutions: with less a signal dies out, with more its rounding errors grow."""


@dataclass(frozen=True)
class Take:
    """One clip to make: the seed for arc_eval, its noise for the reference, where its audio goes."""

    seed: int
    inputs: Path
    seconds: float


def prepare(weights: str, folder: Path, takes: int, steps: int) -> list[Take]:
    """Writes everything into `folder`. Raises CheckpointError if there are no such weights."""
    model = load_model(weights)
    if weights.startswith("random/"):
        raise_voice(model)
    save_model(model, folder / WEIGHTS, {"from": weights})
    text = invented(model.conditioner, CAPTION)
    made = []
    for take in range(takes):
        seed = clip_seed(0, "peer", take)
        streams = clip_generators([seed])
        noise = torch.cat([clip_noise(streams, model.latent_shape) for _ in range(steps + 1)])
        inputs = folder / f"take-{take}.safetensors"
        # The official conditioner multiplies by the mask; arc_eval does so with what its encoder gives.
        masked = {"text": text.states * text.mask[..., None], "mask": text.mask.float()}
        save_file({"noise": noise, **masked}, inputs)
        made.append(Take(seed, inputs, model.max_seconds))
    return made


def raise_voice(model: LatentDiffusion) -> None:
    """Makes random weights loud enough that every input is heard in the audio.

    As they are drawn, the network changes little of its input and the decoder's biases drown what it is
    given: two implementations would agree to 1e-3 with different captions.
    """
    raise_branches(model.dit)
    with torch.no_grad():
        for name, parameter in model.autoencoder.decoder.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(GAIN)


def raise_branches(dit: DiT) -> None:
    """The denoising network's part of it."""
    with torch.no_grad():
        for name, parameter in dit.named_parameters():
            if name.endswith(("to_out.weight", "ff.ff.2.weight", "process_conv.weight")):
                parameter.div_(SMALL)
