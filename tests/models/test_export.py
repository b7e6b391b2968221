"""What is exported in the official layout reads back as the same model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from arc_eval.errors import CheckpointError
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.export import export_model
from arc_eval.models.files import model_files
from arc_eval.models.weights import load_model, read_manifest, save_model, weights_digest


def assert_same(found: LatentDiffusion, expected: LatentDiffusion) -> None:
    assert found.config == expected.config
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


@pytest.mark.parametrize("path", ["tiny/reference", "tiny/arc"])
def test_an_exported_model_is_the_original_bit_for_bit(path: str, tmp_path: Path) -> None:
    export_model(path, tmp_path)
    assert_same(load_model(tmp_path), load_model(path))
    original = model_files(path)
    assert original.weights is not None
    stored, before = load_file(tmp_path / "model.safetensors"), load_file(original.weights)
    assert stored.keys() == before.keys()
    for name, tensor in before.items():
        assert stored[name].dtype == tensor.dtype, name
        assert torch.equal(stored[name], tensor), name
    config = json.loads((tmp_path / "model_config.json").read_text())
    assert config == json.loads(original.config.read_text())


def test_the_manifest_of_an_export_names_where_it_came_from(tmp_path: Path) -> None:
    export_model("tiny/arc", tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest["digest"] == weights_digest(tmp_path)
    assert manifest["parents"] == {"original": weights_digest("tiny/arc")}
    assert manifest["original"] == read_manifest("tiny/arc")


def test_precision_can_be_chosen(tmp_path: Path) -> None:
    export_model("tiny/arc", tmp_path / "full", dtype=torch.float32)
    stored = load_file(tmp_path / "full" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert_same(load_model(tmp_path / "full"), load_model("tiny/arc"))


def test_a_training_checkpoint_is_exported_as_the_weights_that_were_asked_for(
    small_model: LatentDiffusion, tmp_path: Path
) -> None:
    save_model(small_model, tmp_path / "run", {})
    (tmp_path / "run" / "model.safetensors").unlink()
    state = small_model.state_dict()
    training = {f"diffusion.{name}": part for name, part in state.items()} | {
        f"diffusion_ema.ema_model.{name.removeprefix('model.')}": part / 2
        for name, part in state.items()
        if name.startswith("model.")
    }
    last = tmp_path / "run" / "last.ckpt"
    torch.save({"state_dict": training, "optimizer_states": [{"state": {}}]}, last)
    for ema in (True, False):
        export_model(last, tmp_path / f"{ema}", ema=ema)
        assert_same(load_model(tmp_path / f"{ema}"), load_model(last, ema=ema))
    assert_same(load_model(tmp_path / "False"), small_model)


def test_random_weights_with_a_random_text_encoder_are_not_exported(
    tmp_path: Path, small_config: dict[str, Any]
) -> None:
    conditioning = small_config["model"]["conditioning"]["configs"]
    conditioning[0] = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-small"}}
    (tmp_path / "mine.json").write_text(json.dumps(small_config))
    with pytest.raises(CheckpointError, match=r"mine\.json: not exported: .* random T5"):
        export_model(f"random/{tmp_path / 'mine.json'}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_random_weights_without_one_can_be_exported(tmp_path: Path, small_model: LatentDiffusion) -> None:
    save_model(small_model, tmp_path, {})
    path = f"random/{tmp_path / 'model_config.json'}"
    export_model(path, tmp_path / "out")
    assert_same(load_model(tmp_path / "out"), load_model(path))
