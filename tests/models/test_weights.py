"""A model on disk is the model; what does not fit is named."""

import errno
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import load_file, save_file

from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.models.weights import (
    build_model,
    load_model,
    read_manifest,
    save_model,
    weights_digest,
)


@pytest.fixture
def folder(small_model: LatentDiffusion, tmp_path: Path) -> Path:
    save_model(small_model, tmp_path / "model", {"steps": 3})
    return tmp_path / "model"


def assert_same(found: LatentDiffusion, expected: LatentDiffusion) -> None:
    assert found.config == expected.config
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def test_saved_model_is_loaded_as_it_was(small_model: LatentDiffusion, folder: Path) -> None:
    loaded = load_model(folder)
    assert not loaded.training
    assert_same(loaded, small_model)


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


def test_a_tensor_in_both_spellings_is_refused(small_model: LatentDiffusion) -> None:
    tensors = small_model.autoencoder.state_dict()
    name = next(name for name in tensors if name.endswith("weight_g"))
    other = name.replace("weight_g", "parametrizations.weight.original0")
    with pytest.raises(
        CheckpointError, match=rf"test: .*\n  there twice \(1\): {name} as {name} and {other}"
    ):
        load_state(small_model.autoencoder, {**tensors, other: tensors[name] + 1}, "test")


def test_corrupt_weights_are_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors, it may be truncated"):
        load_model(folder)


def test_a_truncated_checkpoint_is_refused(small_model: LatentDiffusion, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": small_model.state_dict()}, folder / "model.ckpt")
    whole = (folder / "model.ckpt").read_bytes()
    (folder / "model.ckpt").write_bytes(whole[:-1000])
    with pytest.raises(CheckpointError, match=r"model\.ckpt: is truncated"):
        load_model(folder)


def test_a_checkpoint_is_the_same_model_as_safetensors(small_model: LatentDiffusion, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": small_model.state_dict(), "epoch": 1}, folder / "model.ckpt")
    assert_same(load_model(folder), small_model)


def test_weights_of_another_architecture_are_refused_with_what_does_not_fit(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"encoder.layers.0.weight_v": torch.zeros(3)}, folder / "model.ckpt")
    with pytest.raises(CheckpointError, match="are both of one model") as caught:
        load_model(folder)
    message = str(caught.value)
    assert "unexpected (1): encoder.layers.0.weight_v" in message
    assert re.search(r"missing \(\d+\): conditioner.*; .* and \d+ more", message)


def test_tensors_that_are_no_weights_are_refused(small_model: LatentDiffusion, folder: Path) -> None:
    name = "model.model.preprocess_conv.weight"
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, name: tensors[name].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"not of real numbers \(1\): {name} is torch.int8"):
        load_model(folder)


def test_a_load_that_fails_changes_nothing(small_model: LatentDiffusion) -> None:
    before = {name: tensor.clone() for name, tensor in small_model.state_dict().items()}
    changed = {name: tensor + 1 for name, tensor in before.items()}
    del changed["model.model.preprocess_conv.weight"]
    with pytest.raises(CheckpointError):
        load_state(small_model, changed, "test")
    for name, tensor in small_model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_loaded_model_keeps_the_file_s_tensors_without_a_copy(folder: Path) -> None:
    tensors = read_tensors(folder / "model.safetensors")
    with WithoutWeights():
        model = LatentDiffusion(load_model(folder).config)
    load_state(model, tensors, "test")
    name = "model.model.preprocess_conv.weight"
    assert model.state_dict()[name].data_ptr() == tensors[name].data_ptr()


def test_a_loaded_model_can_learn_without_changing_its_file(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    model = load_model(folder)
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("path", ["tiny/arc", "tiny/reference"])
def test_nothing_of_a_loaded_model_is_without_memory(path: str) -> None:
    model = load_model(path)
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


def test_what_is_derived_is_the_same_whether_the_model_was_loaded_or_built() -> None:
    loaded = load_model("tiny/arc")
    built = dict(build_model(loaded.config, 0).named_buffers())
    for name, buffer in loaded.named_buffers():
        assert torch.equal(buffer, built[name]), name


def test_building_without_weights_leaves_the_random_stream_alone(small_model: LatentDiffusion) -> None:
    stream = torch.random.get_rng_state()
    with WithoutWeights():
        LatentDiffusion(small_model.config)
    assert torch.equal(torch.random.get_rng_state(), stream)


def test_a_file_is_hashed_again_only_when_it_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    real = hashlib.file_digest

    def counting(file: BinaryIO, name: str) -> Any:
        hashed.append(os.fstat(file.fileno()).st_size)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    size = (folder / "model.safetensors").stat().st_size
    os.utime(folder / "model.safetensors", (1, 1))
    first = weights_digest(folder)
    assert weights_digest(folder) == first
    assert hashed.count(size) == 1
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert weights_digest(folder) != first


def test_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: no such file or folder"):
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
