"""A model on disk is the model; what does not fit is named."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from arc_eval.errors import CheckpointError
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.weights import (
    build_model,
    load_model,
    load_state,
    model_folder,
    read_manifest,
    save_model,
    weights_digest,
)


@pytest.fixture
def folder(small_model: LatentDiffusion, tmp_path: Path) -> Path:
    save_model(small_model, tmp_path / "model", {"steps": 3})
    return tmp_path / "model"


def test_saved_model_is_loaded_as_it_was(small_model: LatentDiffusion, folder: Path) -> None:
    loaded = load_model(folder)
    assert loaded.config == small_model.config
    assert not loaded.training
    for name, tensor in small_model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_half_precision_file_is_loaded_as_float32(small_model: LatentDiffusion, folder: Path) -> None:
    full = (folder / "model.safetensors").stat().st_size
    save_model(small_model, folder, {}, dtype=torch.float16)
    assert (folder / "model.safetensors").stat().st_size < 0.7 * full
    for name, tensor in load_model(folder).state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, small_model.state_dict()[name], rtol=1e-3, atol=1e-6), name


def test_manifest_is_kept_and_names_its_weights(folder: Path) -> None:
    assert read_manifest(folder) == {"steps": 3, "digest": weights_digest(folder)}


def test_folder_without_manifest_has_an_empty_one(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    assert read_manifest(folder) == {}


def test_digest_follows_weights_and_configuration_but_not_the_manifest(
    small_model: LatentDiffusion, folder: Path
) -> None:
    before = weights_digest(folder)
    save_model(small_model, folder, {"steps": 4})
    assert weights_digest(folder) == before
    config = json.loads((folder / "model_config.json").read_text())
    config["sample_size"] *= 2
    (folder / "model_config.json").write_text(json.dumps(config))
    assert weights_digest(folder) != before


def test_the_weights_file_stands_for_its_folder(folder: Path) -> None:
    assert model_folder(folder / "model.safetensors") == folder


def test_nothing_but_the_model_is_left_in_the_folder(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "model_config.json",
    ]


def test_tensors_that_do_not_fit_are_all_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.model.extra"] = tensors.pop("model.model.project_typo", torch.zeros(1))
    del tensors["model.model.preprocess_conv.weight"]
    tensors["model.model.timestep_features.weight"] = torch.zeros(3, 1)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert "missing (1): model.model.preprocess_conv.weight" in message
    assert "unexpected (1): model.model.extra" in message
    assert "model.model.timestep_features.weight is [3, 1], must be [128, 1]" in message


def test_derived_tensors_may_be_absent(small_model: LatentDiffusion, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if not k.endswith(("inv_freq", "_norm.beta"))}
    assert len(kept) == len(tensors) - 10
    save_file(kept, folder / "model.safetensors")
    load_model(folder)


def test_both_spellings_of_weight_norm_are_read(small_model: LatentDiffusion) -> None:
    tensors = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor + 1
        for name, tensor in small_model.autoencoder.state_dict().items()
    }
    before = {name: tensor.clone() for name, tensor in small_model.autoencoder.state_dict().items()}
    load_state(small_model.autoencoder, tensors, "test")
    for name, tensor in small_model.autoencoder.state_dict().items():
        assert torch.equal(tensor, before[name] + 1), name


def test_corrupt_weights_are_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_model(folder)


def test_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.model_config.json: not found"):
        load_model(tmp_path / "nowhere")


def test_unknown_packaged_model_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"tiny/nosuch: no such packaged model; .*known:"):
        load_model("tiny/nosuch")


def test_weights_that_are_not_finite_are_not_written(small_model: LatentDiffusion, tmp_path: Path) -> None:
    small_model.dit.timestep_features.weight.data[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"timestep_features.weight holds NaN"):
        save_model(small_model, tmp_path / "model", {})
    assert not (tmp_path / "model").exists()


def test_initial_weights_are_decided_by_the_seed_alone(small_model: LatentDiffusion) -> None:
    torch.manual_seed(5)
    stream = torch.random.get_rng_state()
    twins = [build_model(small_model.config, seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.random.get_rng_state(), stream)
    first, same, other = (model.dit.timestep_features.weight for model in twins)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def small_disk() -> None:
    """Refuses files beyond a few kilobytes, in the middle of a write, as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_full_disk_is_told_with_its_place_and_remedy_and_keeps_what_was_there(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code = (
        "import sys; from pathlib import Path; from arc_eval.models.weights import load_model, save_model\n"
        "folder = Path(sys.argv[1]); save_model(load_model(folder), folder, {})"
    )
    full = subprocess.run(
        [sys.executable, "-c", code, str(folder)], preexec_fn=small_disk, capture_output=True, text=True
    )
    said = full.stderr.strip().splitlines()[-1]
    assert said.startswith(f"arc_eval.errors.CheckpointError: {folder}: the model cannot be written: ")
    assert os.strerror(errno.EFBIG) in said
    assert "make room" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
