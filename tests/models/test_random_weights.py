"""Random weights are decided by seed and configuration, and every one of them is heard."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from arc_eval.errors import CheckpointError
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import load_model, read_manifest, weights_digest
from arc_eval.records.prompt import Prompt


@pytest.fixture
def path(small_config: dict[str, Any], tmp_path: Path) -> str:
    (tmp_path / "small.json").write_text(json.dumps(small_config))
    return f"random/{tmp_path / 'small.json'}"


def output(model: LatentDiffusion, seconds: float = 1.0) -> torch.Tensor:
    x = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    conditioning = model.condition([Prompt("a", "a dog barks", seconds)])
    return model.velocity(x, torch.tensor([0.5]), conditioning).detach()


def test_random_weights_are_the_same_every_time(path: str) -> None:
    stream = torch.random.get_rng_state()
    first, second = load_model(path), load_model(path)
    assert torch.equal(torch.random.get_rng_state(), stream)
    assert not first.training
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_no_layer_of_random_weights_is_zero(path: str) -> None:
    for name, module in load_model(path).named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            assert module.weight.abs().sum() > 0, name


def test_a_randomly_initialised_network_hears_its_prompt(path: str) -> None:
    model = load_model(path)
    out = output(model)
    assert torch.isfinite(out).all()
    assert out.std() > 0.01
    assert not torch.equal(out, output(model, seconds=2.0))


def test_the_digest_of_random_weights_is_that_of_their_configuration(
    path: str, small_config: dict[str, Any], tmp_path: Path
) -> None:
    digest = weights_digest(path)
    assert weights_digest(path) == digest
    (tmp_path / "other.json").write_text(json.dumps({**small_config, "sample_size": 512}))
    assert weights_digest(f"random/{tmp_path / 'other.json'}") != digest
    assert read_manifest(path) == {}


def test_random_weights_have_no_average(path: str) -> None:
    with pytest.raises(CheckpointError, match="random weights have no average"):
        load_model(path, ema=False)


def test_a_random_model_with_t5_needs_no_download(small_config: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    t5 = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-small", "max_length": 6}}
    small_config["model"]["conditioning"]["configs"][0] = t5
    (tmp_path / "t5.json").write_text(json.dumps(small_config))
    model = load_model(f"random/{tmp_path / 't5.json'}")
    cross = model.condition([Prompt("a", "a dog barks", 1.0)]).cross
    assert cross.shape == (1, 7, 16)
    assert torch.isfinite(cross).all()
    assert cross[0, 0].any()
    assert model.conditioner.identity().items() >= {"prompt.t5": "t5-small", "prompt.seed": "0"}.items()
