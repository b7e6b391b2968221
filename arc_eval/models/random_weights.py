"""Models of a configuration alone: weights drawn from a seed, to time a model or to test with it."""

from torch import nn

from arc_eval.models.config import ModelConfig
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.t5 import T5, random_t5
from arc_eval.seeding import initial_weights

SMALL = 0.1
"""Size of what replaces zeros, as a fraction of what keeps a layer's output as large as its input."""


def random_model(config: ModelConfig, seed: int) -> LatentDiffusion:
    """The official initialisation, decided by `seed`, except that no layer is zero.

    Officially every branch of the denoising network ends in zeros, so that a fresh one is the identity,
    whatever it reads; here those layers get small random values, so that every weight decides the output.
    Text encoders, which no checkpoint holds, are random too. Raises CheckpointError if one needs
    transformers and that is not installed.
    """
    with initial_weights(seed):
        model = LatentDiffusion(config)
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv1d) and not bool(module.weight.any()):
                nn.init.normal_(module.weight, std=SMALL * module.weight[0].numel() ** -0.5)
    for module in model.modules():
        if isinstance(module, T5):
            module.use(random_t5(module.config.t5_model_name, seed))
    return model
