"""Parameter counts of the published models, built without memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from arc_eval.models.config import ModelConfig
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.discriminator import Discriminator
from arc_eval.models.schema import parse_part


@pytest.fixture(scope="module")
def small(shared: Path) -> LatentDiffusion:
    """Stable Audio Open Small at full width on the meta device."""
    data: Any = json.loads((shared / "golden/small-mini/model_config.json").read_text())
    network = data["model"]
    for part in ("encoder", "decoder"):
        network["pretransform"]["config"][part]["config"]["channels"] = 128
    network["conditioning"]["cond_dim"] = 768
    network["diffusion"]["config"].update(
        embed_dim=1024, depth=16, num_heads=8, cond_token_dim=768, global_cond_dim=768
    )
    with torch.device("meta"):
        return LatentDiffusion(parse_part(ModelConfig, data, "small"))


def elements(module: nn.Module) -> int:
    """The zero shifts of the norms count, as they did in the published number; rotary frequencies do not."""
    return sum(
        tensor.numel() for name, tensor in module.state_dict().items() if not name.endswith("inv_freq")
    )


def test_dit_and_number_embedder_have_the_published_size(small: LatentDiffusion) -> None:
    assert elements(small.dit) + elements(small.conditioner) == 341_126_912


def test_autoencoder_has_the_published_size(small: LatentDiffusion) -> None:
    assert elements(small.autoencoder) == 156_112_514


def test_checkpoint_has_the_published_number_of_tensors(small: LatentDiffusion) -> None:
    assert len(small.state_dict()) == 750


def test_discriminator_has_the_published_size(small: LatentDiffusion) -> None:
    discriminator = Discriminator.of(small.dit, 11)
    assert elements(discriminator.head) == 16_793_601
    assert round(elements(discriminator) / 1e6) == 274
