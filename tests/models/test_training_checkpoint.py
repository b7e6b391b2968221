"""Of a training checkpoint the model is taken, averaged if wanted, and nothing unknown is dropped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.autoencoder_weights import AutoencoderFile, load_autoencoder, save_autoencoder
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.schema import parse_part
from arc_eval.models.training_checkpoint import AUTOENCODER, DIFFUSION, unwrapped
from arc_eval.models.weights import load_model, save_model

DIT = "model.model."


@pytest.fixture
def released(small_model: LatentDiffusion) -> dict[str, Tensor]:
    return dict(small_model.state_dict())


@pytest.fixture
def training(released: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the official script writes it; the averages are the live weights plus one."""
    return {
        **{f"diffusion.{name}": tensor for name, tensor in released.items()},
        **{
            f"diffusion_ema.ema_model.{name.removeprefix('model.')}": tensor + 1
            for name, tensor in released.items()
            if name.startswith("model.")
        },
        "diffusion_ema.initted": torch.tensor(True),
        "diffusion_ema.step": torch.tensor(12),
        "discriminator.model.x": torch.zeros(1),
        "discriminator_head.layers.0.weight": torch.zeros(1),
        "losses.losses.0.weight": torch.zeros(1),
        "teacher_model.model.x": torch.zeros(1),
    }


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("ema", [None, True])
def test_averaged_weights_are_taken_unless_live_ones_are_wanted(
    ema: bool | None, training: dict[str, Tensor], released: dict[str, Tensor]
) -> None:
    expected = {name: part + 1 if name.startswith(DIT) else part for name, part in released.items()}
    assert_same(unwrapped(training, DIFFUSION, ema, "last.ckpt"), expected)


def test_live_weights_are_taken_on_request(training: dict[str, Tensor], released: dict[str, Tensor]) -> None:
    assert_same(unwrapped(training, DIFFUSION, False, "last.ckpt"), released)


@pytest.mark.parametrize("ema", [None, False])
def test_released_weights_are_taken_as_they_are(ema: bool | None, released: dict[str, Tensor]) -> None:
    assert_same(unwrapped(released, DIFFUSION, ema, "model.ckpt"), released)


def test_averaged_weights_of_released_ones_are_refused(released: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"released weights holds no averaged .*`ema: false`"):
        unwrapped(released, DIFFUSION, True, "model.ckpt")


@pytest.mark.parametrize("ema", [None, True])
def test_a_training_checkpoint_without_average_is_refused(
    ema: bool | None, training: dict[str, Tensor]
) -> None:
    live = {name: part for name, part in training.items() if not name.startswith("diffusion_ema.")}
    with pytest.raises(CheckpointError, match=r"training checkpoint holds no averaged .*`ema: false`"):
        unwrapped(live, DIFFUSION, ema, "last.ckpt")
    unwrapped(live, DIFFUSION, False, "last.ckpt")


def test_an_incomplete_average_is_refused_with_what_it_lacks(training: dict[str, Tensor]) -> None:
    del training["diffusion_ema.ema_model.model.preprocess_conv.weight"]
    with pytest.raises(CheckpointError, match=r"missing \(1\): model.model.preprocess_conv.weight"):
        unwrapped(training, DIFFUSION, None, "last.ckpt")


def test_an_average_may_lack_what_is_derived(training: dict[str, Tensor]) -> None:
    kept = {name: part for name, part in training.items() if not ("_ema." in name and "inv_freq" in name)}
    assert len(kept) == len(training) - 1
    unwrapped(kept, DIFFUSION, None, "last.ckpt")


def test_what_is_not_known_of_training_stays_for_strict_loading_to_name(
    training: dict[str, Tensor],
) -> None:
    training["diffusion_ema.momentum"] = training["adapter.weight"] = torch.zeros(1)
    found = unwrapped(training, DIFFUSION, None, "last.ckpt")
    assert {"diffusion_ema.momentum", "adapter.weight"} <= found.keys()


@pytest.mark.parametrize("ema", [None, True, False])
def test_a_tensor_beside_itself_under_its_own_name_is_refused(
    ema: bool | None, training: dict[str, Tensor]
) -> None:
    name = "model.model.preprocess_conv.weight"
    training[name] = torch.zeros(1)
    with pytest.raises(
        CheckpointError, match=rf"last\.ckpt: .*\n  there twice \(1\): {name} as {name} and diffusion\.{name}"
    ):
        unwrapped(training, DIFFUSION, ema, "last.ckpt")


def test_an_average_beside_weights_under_their_own_names_is_refused(training: dict[str, Tensor]) -> None:
    plain = {name.removeprefix("diffusion."): part for name, part in training.items()}
    with pytest.raises(CheckpointError, match=r"there twice .* as model.* and diffusion_ema\.ema_model\."):
        unwrapped(plain, DIFFUSION, None, "last.ckpt")


@pytest.fixture
def run(
    small_model: LatentDiffusion, small_config: dict[str, Any], training: dict[str, Tensor], tmp_path: Path
) -> Path:
    """A training run's folder: configuration and Lightning checkpoint."""
    save_model(small_model, tmp_path, {})
    (tmp_path / "model.safetensors").unlink()
    content = {"state_dict": training, "epoch": 1, "model_config": small_config}
    torch.save(content, tmp_path / "last.ckpt")
    return tmp_path


@pytest.mark.parametrize(("ema", "added"), [(None, 1), (True, 1), (False, 0)])
def test_a_model_is_loaded_from_a_training_checkpoint(
    ema: bool | None, added: int, run: Path, small_model: LatentDiffusion
) -> None:
    loaded = load_model(run, ema=ema)
    assert torch.equal(loaded.dit.timestep_features.weight, small_model.dit.timestep_features.weight + added)
    for name, tensor in small_model.autoencoder.state_dict().items():
        assert torch.equal(loaded.autoencoder.state_dict()[name], tensor), name


def test_a_checkpoint_trained_at_another_sample_rate_is_refused(run: Path) -> None:
    config = (run / "model_config.json").read_text()
    (run / "model_config.json").write_text(config.replace('"sample_rate": 128', '"sample_rate": 256'))
    with pytest.raises(CheckpointError, match=r"last\.ckpt: was trained at a sample rate of 128 Hz"):
        load_model(run)


@pytest.mark.parametrize(("ema", "added"), [(None, 1), (False, 0)])
def test_an_autoencoder_is_loaded_from_its_training_checkpoint(
    ema: bool | None,
    added: int,
    small_model: LatentDiffusion,
    small_config: dict[str, Any],
    tmp_path: Path,
) -> None:
    data = {
        **{key: small_config[key] for key in ("sample_size", "sample_rate", "audio_channels")},
        "model_type": "autoencoder",
        "model": small_config["model"]["pretransform"]["config"],
        "training": {"use_ema": True},
    }
    config = parse_part(AutoencoderFile, data, "test")
    save_autoencoder(small_model.autoencoder, config, tmp_path, {})
    (tmp_path / "model.safetensors").unlink()
    state = small_model.autoencoder.state_dict()
    training = {
        **{f"autoencoder.{name}": part for name, part in state.items()},
        **{f"autoencoder_ema.ema_model.{name}": part + 1 for name, part in state.items()},
        "autoencoder_ema.step": torch.tensor(3),
        "sdstft.window": torch.zeros(1),
        "discriminator.x": torch.zeros(1),
    }
    assert unwrapped(training, AUTOENCODER, ema, "x").keys() == state.keys()
    torch.save({"state_dict": training}, tmp_path / "vae.ckpt")
    loaded, read = load_autoencoder(tmp_path, ema=ema)
    assert read == config
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[name] + added), name
