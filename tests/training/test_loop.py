"""Training resumes exactly, refuses what it cannot trust, and says how its weights came to be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.errors import TrainingError
from arc_eval.models import emulation
from arc_eval.models.weights import weights_digest
from arc_eval.training.loop import train
from arc_eval.training.recipe import load_recipe

from .test_parallel import PowerCut, cut_after

STARTED = 240  # seconds that a child may take to reach its first checkpoint

CHILD = """
import sys
from pathlib import Path
from arc_eval.training.loop import train
from arc_eval.training.recipe import load_recipe
if __name__ == "__main__":
    train(load_recipe(sys.argv[1], ["steps=100000"]), Path(sys.argv[2]), resume=True, cache=Path(sys.argv[3]))
"""


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_resumed_training_is_bit_identical_to_an_uninterrupted_one(
    pretrain: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arc_eval.training.pretrain import PretrainTask

    whole = train(load_recipe(pretrain), tmp_path / "whole", cache=cache)
    step = PretrainTask.turn

    def power_cut(self: PretrainTask, number: int, rng: torch.Generator) -> object:
        if number == 5:
            raise KeyboardInterrupt
        return step(self, number, rng)

    monkeypatch.setattr(PretrainTask, "turn", power_cut)
    with pytest.raises(KeyboardInterrupt):
        train(load_recipe(pretrain), tmp_path / "cut", cache=cache)
    monkeypatch.undo()
    resumed = train(load_recipe(pretrain), tmp_path / "cut", cache=cache, resume=True)
    first, second = _weights(whole), _weights(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_training_leaves_a_checkpoint_that_loads(
    pretrain: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(pretrain), str(out), str(cache)])
    deadline = time.monotonic() + STARTED
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    assert saved["step"] % 2 == 0 and saved["step"] > 0


def _journal(out: Path) -> list[dict[str, Any]]:
    """Every line but what its clock says."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "clips_per_second")} for line in lines]


@pytest.mark.parametrize("checkpoint", [True, False], ids=["resumed", "begun again"])
def test_a_killed_trainings_journal_goes_on_as_if_nothing_had_happened(
    pretrain: Path, cache: Path, tmp_path: Path, checkpoint: bool
) -> None:
    recipe = load_recipe(pretrain, ["checkpoint_every=2" if checkpoint else "checkpoint_every=4"])
    train(recipe, tmp_path / "whole", cache=cache)
    with pytest.raises(PowerCut):
        train(recipe, tmp_path / "cut", cache=cache, progress=cut_after(3))
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "seconds": 0.1, "lo')
    train(recipe, tmp_path / "cut", cache=cache, resume=checkpoint)
    assert _journal(tmp_path / "cut") == _journal(tmp_path / "whole")


def test_a_second_training_in_the_same_folder_is_refused_until_the_first_one_ends(
    pretrain: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(pretrain), str(out), str(cache)])
    try:
        deadline = time.monotonic() + STARTED
        while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        command = ["train", str(pretrain), "--out", str(out), "--resume"]
        refused = CliRunner().invoke(app, command)
        assert (refused.exit_code, f"process {child.pid} is writing this training" in refused.output) == (
            2,
            True,
        )
        with pytest.raises(TrainingError, match=f"process {child.pid} is writing this training"):
            train(load_recipe(pretrain), out, cache=cache)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with pytest.raises(PowerCut):
        train(load_recipe(pretrain, ["steps=100000"]), out, cache=cache, resume=True, progress=cut_after(1))


def test_a_checkpoint_is_not_overwritten_without_being_asked(
    pretrain: Path, cache: Path, tmp_path: Path
) -> None:
    train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache)
    with pytest.raises(TrainingError, match="--resume"):
        train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache)


def test_a_checkpoint_of_another_recipe_is_refused(pretrain: Path, cache: Path, tmp_path: Path) -> None:
    train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache)
    changed = load_recipe(pretrain, ["steps=4", "precision=float64", "accumulate=2"])
    with pytest.raises(TrainingError, match="another recipe") as refused:
        train(changed, tmp_path, cache=cache, resume=True)
    assert "steps was 2, is now 4; precision was its default, is now float64; take" in str(refused.value)


def test_a_checkpoint_that_began_from_other_parents_is_refused(
    pretrain: Path, cache: Path, tmp_path: Path
) -> None:
    train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    saved["facts"]["parents"]["autoencoder"] = "another"
    torch.save(saved, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="parents changed since"):
        train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache, resume=True)


def test_a_damaged_checkpoint_is_named(pretrain: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nothing of the kind")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: not a checkpoint"):
        train(load_recipe(pretrain, ["steps=2"]), tmp_path, cache=cache, resume=True)


def test_a_nan_stops_the_training_with_its_step(pretrain: Path, cache: Path, tmp_path: Path) -> None:
    recipe = load_recipe(pretrain, ["optimiser.lr=1e30", "optimiser.warmup=0", "clip_norm=0"])
    with pytest.raises(TrainingError, match=r"step \d+: .*not finite"):
        train(recipe, tmp_path, cache=cache)


def test_the_manifest_tells_data_recipe_parents_and_machine(
    teacher: Path, autoencoder: Path, pretrain: Path
) -> None:
    manifest = json.loads((teacher / "manifest.json").read_text())
    assert manifest["parents"] == {"autoencoder": weights_digest(autoencoder)}
    assert manifest["recipe_digest"] == load_recipe(pretrain).digest()
    assert manifest["recipe"]["steps"] == manifest["steps"] == 6
    assert manifest["digest"] == weights_digest(teacher)
    assert {"data_digest", "wall_seconds", "machine"} <= manifest.keys()


def test_a_cpu_that_emulates_bfloat16_is_named_before_the_training(
    pretrain: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(emulation, "native", lambda: False)
    emulation._warn.cache_clear()
    for name, precision in (("half", "bfloat16"), ("again", "bfloat16"), ("plain", "float32")):
        train(load_recipe(pretrain, ["steps=1", f"precision={precision}"]), tmp_path / name, cache=cache)
    assert sum("emulated" in record.getMessage() for record in caplog.records) == 1
