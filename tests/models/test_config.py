"""What is not supported is refused by name."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arc_eval.errors import CheckpointError
from arc_eval.models.config import ModelConfig, load_config
from arc_eval.models.schema import parse_part

Change = Callable[[dict[str, Any]], object]

MISTAKES: dict[str, tuple[Change, str]] = {
    "misspelt key": (
        lambda data: data["model"]["diffusion"]["config"].update(num_head=2),
        r"model.diffusion.config.num_head: unknown key.*did you mean 'num_heads'",
    ),
    "unsupported conditioning of the blocks": (
        lambda data: data["model"]["diffusion"]["config"].update(global_cond_type="adaLN"),
        r"diffusion\.config\.global_cond_type: 'adaLN' is not supported; supported: 'prepend'",
    ),
    "another model type": (
        lambda data: data.update(model_type="diffusion_uncond"),
        r"model_type: 'diffusion_uncond' is not supported; supported: 'diffusion_cond'",
    ),
    "unknown conditioner type": (
        lambda data: data["model"]["conditioning"]["configs"][0].update(type="clap_text"),
        r"conditioning\.configs\.0\.type: 'clap_text' is not supported; supported: 't5', 'number', 'words'",
    ),
    "unknown autoencoder type": (
        lambda data: data["model"]["pretransform"]["config"]["encoder"].update(type="dac"),
        r"config\.encoder\.type: 'dac' is not supported; supported: 'oobleck', 'spectral'",
    ),
    "conditioner that does not exist": (
        lambda data: data["model"]["diffusion"].update(cross_attention_cond_ids=["promt"]),
        r"'promt', which does not exist; did you mean 'prompt'",
    ),
    "conditioner defined twice": (
        lambda data: data["model"]["conditioning"]["configs"].append(
            data["model"]["conditioning"]["configs"][0]
        ),
        "an id appears twice",
    ),
    "latents of two widths": (
        lambda data: data["model"]["diffusion"]["config"].update(io_channels=32),
        "diffusion.config.io_channels is 32, must be 4",
    ),
    "heads that do not divide": (
        lambda data: data["model"]["diffusion"]["config"].update(num_heads=3),
        "even head dimension of at least 32",
    ),
    "strides against the ratio": (
        lambda data: data["model"]["pretransform"]["config"].update(downsampling_ratio=16),
        "8 latent channels every 8 samples, must have 2 audio channels and 8 latent channels every 16",
    ),
    "length against the ratio": (
        lambda data: data.update(sample_size=250),
        "sample_size 250 must be a multiple of downsampling_ratio 8",
    ),
    "absent key": (
        lambda data: data["model"]["diffusion"]["config"].pop("depth"),
        r"model\.diffusion\.config\.depth: this key is required",
    ),
    "conditioner without a type": (
        lambda data: data["model"]["conditioning"]["configs"][0].pop("type"),
        r"model\.conditioning\.configs\.0: the key 'type' is required",
    ),
    "mistake inside a conditioner": (
        lambda data: data["model"]["conditioning"]["configs"][1]["config"].update(max_val=-1),
        r"model\.conditioning\.configs\.1\.config: min_val 0.0 must be below max_val -1.0",
    ),
    "another bottleneck": (
        lambda data: data["model"]["pretransform"]["config"]["bottleneck"].update(type="rvq"),
        r"bottleneck\.type: 'rvq' is not supported; supported: 'vae'",
    ),
    "channels beside the latents": (
        lambda data: data["model"]["diffusion"].update(input_concat_ids=["mask"]),
        r"model\.diffusion\.input_concat_ids: Tuple should have at most 0 items",
    ),
    "spectral part of another sample rate": (
        lambda data: data["model"]["pretransform"]["config"].update(
            encoder={"type": "spectral", "config": {"sample_rate": 44100}},
            decoder={"type": "spectral", "config": {"sample_rate": 44100}},
        ),
        "sample_rate is 128, but the autoencoder's encoder is for 44100 Hz",
    ),
    "unknown text encoder": (
        lambda data: data["model"]["conditioning"]["configs"].append(
            {"id": "text", "type": "t5", "config": {"t5_model_name": "t5-bose"}}
        ),
        "no T5 encoder 't5-bose'; did you mean 't5-base'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_its_place(mistake: str, small_config: dict[str, Any]) -> None:
    change, message = MISTAKES[mistake]
    data = copy.deepcopy(small_config)
    change(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        parse_part(ModelConfig, data, "model_config.json")
    assert str(caught.value).startswith("model_config.json: ")


def test_another_kind_of_model_is_said_once(small_config: dict[str, Any]) -> None:
    data = {**small_config, "model_type": "autoencoder", "model": small_config["model"]["pretransform"]}
    with pytest.raises(CheckpointError) as caught:
        parse_part(ModelConfig, data, "x.json")
    assert (
        str(caught.value) == "x.json: model_type: 'autoencoder' is not supported; supported: 'diffusion_cond'"
    )


def test_training_settings_are_kept_and_not_read(small_config: dict[str, Any]) -> None:
    training = {"use_ema": True, "anything": [1, 2]}
    parsed = parse_part(ModelConfig, {**small_config, "training": training}, "model_config.json")
    assert parsed.training == training


def test_configuration_is_written_as_it_was_read(small_config: dict[str, Any]) -> None:
    parsed = parse_part(ModelConfig, small_config, "model_config.json")
    assert parsed.model_dump(mode="json", exclude_unset=True) == small_config


@pytest.mark.parametrize(
    ("content", "message"), [(None, "not found"), ("{", "cannot be read"), ("[1]", "must hold a JSON object")]
)
def test_file_that_is_no_configuration_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "model_config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_what_official_files_carry_for_training_is_kept_and_changes_nothing(
    small_config: dict[str, Any],
) -> None:
    data = copy.deepcopy(small_config)
    pretransform = data["model"]["pretransform"]
    pretransform.update(iterate_batch=True, model_half=True, chunked=True, enable_grad=False)
    pretransform["config"]["encoder"]["requires_grad"] = False
    data["model"]["diffusion"].update(
        distribution_shift_options={"min_length": 256, "max_length": 4096}, input_concat_ids=[]
    )
    data["model"]["diffusion"]["config"].update(timestep_cond_type="global", patch_size=1)
    data["model"]["conditioning"]["default_keys"] = {"seconds_total": "length"}
    data["training"] = {"use_ema": True, "demo": {"demo_every": 2000, "demo_cond": [{"prompt": "A"}]}}
    parsed = parse_part(ModelConfig, data, "model_config.json")
    assert parsed.model_dump(mode="json", exclude_unset=True) == data
    plain = parse_part(ModelConfig, small_config, "model_config.json")
    assert parsed.model.diffusion.config == plain.model.diffusion.config


def test_official_configurations_are_understood(shared: Path) -> None:
    for folder, objective, frames in (("small-mini", "rf_denoiser", 32), ("sao1-mini", "v", 48)):
        path = shared / "golden" / folder / "model_config.json"
        config = load_config(path)
        assert config.model.diffusion.diffusion_objective == objective
        assert config.latent_frames == frames
        assert config.model_dump(mode="json", exclude_unset=True) == json.loads(path.read_text())
