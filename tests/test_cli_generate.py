"""`arc-eval generate`: what it writes, and ten ways of being wrong with an answer of its own each."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from hub_server import Hub, closed_port, serving, surroundings
from safetensors.torch import load_file
from tiny_suites import CONFIG, save_random_model, suite_data, write_suite
from typer.testing import CliRunner, Result

from arc_eval.cli import app
from arc_eval.dsp import read_audio, write_audio
from arc_eval.models.offline import SWITCHES

SMALL = "stabilityai/stable-audio-open-small"
CONFIGS = Path(__file__).resolve().parent.parent / "arc_eval" / "models" / "configs"

runner = CliRunner()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_random_model(tmp_path / "model")


def generate(out: Path, model: Path | str, *options: str) -> Result:
    arguments = ["generate", str(model), "a low bell", "-o", str(out / "x.wav"), *options]
    return runner.invoke(app, arguments)


def narrow(name: str) -> dict[str, Any]:
    """A shipped official configuration with fewer channels and layers: every option and type the same."""
    data: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    network = data["model"]
    data["sample_size"] = 32 * 2048
    for part in ("encoder", "decoder"):
        network["pretransform"]["config"][part]["config"]["channels"] = 4
    conditioning, dit = network["conditioning"], network["diffusion"]["config"]
    conditioning["cond_dim"] = 512
    conditioning["configs"][0]["config"]["t5_model_name"] = "t5-small"
    globals_ = len(network["diffusion"]["global_cond_ids"])
    # 8 heads of 128 or more, so that the 512 channels of the text divide into heads.
    dit.update(embed_dim=1024, depth=1, num_heads=8, cond_token_dim=512, global_cond_dim=512 * globals_)
    return data


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_tiny_model_writes_the_length_rate_and_channels_asked_for(tmp_path: Path, suffix: str):
    out = tmp_path / f"x{suffix}"
    shown = runner.invoke(app, ["generate", "tiny/arc", "a bell", "--seconds", "1.3", "-o", str(out)])
    assert shown.exit_code == 0, shown.output
    found = soundfile.info(out)
    assert (found.frames, found.samplerate, found.channels) == (round(1.3 * 44100), 44100, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stable-audio-open-small", ()),
        ("stable-audio-open-small-base", ("--steps", "2")),
        ("stable-audio-open-1.0", ("--steps", "3", "--negative-prompt", "noise")),
    ],
)
def test_an_official_configuration_with_random_weights_writes_what_was_asked_for(
    tmp_path: Path, name: str, options: tuple[str, ...]
):
    pytest.importorskip("transformers", reason="needs the extra `models` for the T5 text encoder")
    path = tmp_path / "narrow.json"
    path.write_text(json.dumps(narrow(name)))
    shown = generate(tmp_path, f"random/{path}", "--seconds", "1.1", *options)
    assert shown.exit_code == 0, shown.output
    found = soundfile.info(tmp_path / "x.wav")
    assert (found.frames, found.samplerate, found.channels) == (round(1.1 * 44100), 44100, 2)
    assert read_audio(tmp_path / "x.wav")[0].std() > 0


def test_every_setting_can_be_changed(tmp_path: Path, model: Path):
    write_audio(tmp_path / "in.wav", torch.full((2, 2000), 0.3), 8000)
    seconds = ("--seconds", "0.2")
    plain = generate(tmp_path, model, *seconds)
    assert plain.exit_code == 0, plain.output
    before = read_audio(tmp_path / "x.wav")[0]
    for options in (
        ("--steps", "3"),
        ("--guidance", "2", "--negative-prompt", "a high bell"),
        ("--init-audio", str(tmp_path / "in.wav"), "--init-level", "0.5"),
        ("--set", "apg=1"),
        ("--seed", "5"),
    ):
        shown = generate(tmp_path, model, *seconds, *options)
        assert shown.exit_code == 0, shown.output
        assert not torch.equal(read_audio(tmp_path / "x.wav")[0], before), options


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def refused(shown: Result, *said: str) -> None:
    """One message on stderr and exit code 2."""
    assert shown.exit_code == 2, shown.output
    assert shown.stderr.startswith("error: ")
    for words in said:
        assert words in shown.stderr, shown.stderr
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
def test_a_truncated_file(tmp_path: Path, model: Path, name: str):
    if name.endswith(".ckpt"):
        torch.save(load_file(model / "model.safetensors"), model / name)
        (model / "model.safetensors").unlink()
    whole = (model / name).read_bytes()
    (model / name).write_bytes(whole[: len(whole) // 2])
    refused(generate(tmp_path, model), str(model / name), "truncated")


def test_another_architecture(tmp_path: Path, model: Path):
    config = json.loads((model / "model_config.json").read_text())
    config["model"]["diffusion"]["config"]["depth"] = 3
    (model / "model_config.json").write_text(json.dumps(config))
    refused(generate(tmp_path, model), "do not fit the configuration", "missing", "transformer.layers.2")


def test_a_pickle_with_code_in_it(tmp_path: Path, model: Path):
    (model / "model.safetensors").unlink()
    (model / "model.ckpt").write_bytes(pickle.dumps({"state_dict": Bomb(tmp_path / "harm")}, protocol=2))
    bare = generate(tmp_path, model)
    torch.save({"state_dict": Bomb(tmp_path / "harm")}, model / "model.ckpt")
    for shown in (bare, generate(tmp_path, model)):
        refused(shown, str(model / "model.ckpt"), "safetensors")
    assert not (tmp_path / "harm").exists()


def test_missing_averaged_weights(tmp_path: Path, model: Path):
    live = {f"diffusion.{name}": tensor for name, tensor in load_file(model / "model.safetensors").items()}
    (model / "model.safetensors").unlink()
    torch.save({"state_dict": live, "epoch": 3}, model / "model.ckpt")
    refused(generate(tmp_path, model), "EMA", "ema")
    assert generate(tmp_path, model, "--seconds", "0.2", "--set", "ema=false").exit_code == 0


def test_a_wrong_sample_rate(tmp_path: Path, model: Path):
    shown = generate(tmp_path, model, "--set", "sample_rate=44100")
    refused(shown, "makes audio at 8000 Hz", "44100 Hz")


def test_an_unknown_conditioner(tmp_path: Path, model: Path):
    config = json.loads(json.dumps(CONFIG))
    config["model"]["conditioning"]["configs"][0]["type"] = "clap_text"
    (model / "model_config.json").write_text(json.dumps(config))
    refused(generate(tmp_path, model), "clap_text", "t5", "number", "words")


def test_an_unknown_sampler(tmp_path: Path, model: Path):
    shown = generate(tmp_path, model, "--sampler", "pingpon")
    refused(shown, "no sampler 'pingpon'; did you mean 'pingpong'?")


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
@pytest.mark.parametrize("option", ["--device", "--set"])
def test_a_device_that_is_not_there(tmp_path: Path, model: Path, device: str, option: str):
    shown = generate(tmp_path, model, option, device if option == "--device" else f"device={device}")
    refused(shown, f"device '{device}' cannot be used here", "cpu always can")


def test_a_generator_of_clips_that_exist_already(tmp_path: Path, model: Path):
    write_audio(tmp_path / "a.wav", torch.zeros(2, 100), 8000)
    data = suite_data(model, generators={"old": {"kind": "folder", "path": str(tmp_path)}})
    suite = write_suite(tmp_path / "suite.yaml", data)
    refused(generate(tmp_path, f"{suite}:old"), f"{suite}:old", "exist already", "one that generates")


@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_a_seed_that_no_stream_has(tmp_path: Path, model: Path, seed: str):
    shown = generate(tmp_path, model, "--seed", seed)
    assert shown.exit_code == 2
    assert "Invalid value for '--seed'" in shown.stderr
    assert generate(tmp_path, model, "--seconds", "0.2", "--seed", str(2**63 - 1)).exit_code == 0


@pytest.mark.parametrize("name", ["a:model", "model:1/x"])
def test_weights_whose_path_has_a_colon_are_no_suite(tmp_path: Path, model: Path, name: str):
    moved = tmp_path / name
    moved.parent.mkdir(exist_ok=True)
    model.rename(moved)
    for path in (moved, moved / "model.safetensors"):
        shown = generate(tmp_path, path, "--steps", "1", "--seconds", "0.2")
        assert shown.exit_code == 0, shown.output
    named = f"random/{moved / 'model_config.json'}"
    assert generate(tmp_path, named, "--steps", "1", "--seconds", "0.2").exit_code == 0


@pytest.mark.parametrize("name", ["hf:owner/name", "hf:/owner/name", "hf://owner/name"])
def test_a_hub_name_however_it_is_spelt_is_no_suite(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("huggingface_hub", reason="needs the extra `models`")
    monkeypatch.setenv("ARC_EVAL_OFFLINE", "1")
    shown = generate(tmp_path, name)
    refused(shown, "owner/name", "hf://")
    assert "suite" not in shown.stderr


def test_a_configuration_without_weights(tmp_path: Path, model: Path):
    (model / "model.safetensors").unlink()
    refused(generate(tmp_path, model), str(model), "model.safetensors", ".ckpt")


def as_a_user(home: Path, endpoint: str) -> Result:
    """In a process of its own: the hub's client reads its surroundings once."""
    own = {name: value for name, value in os.environ.items() if name not in (*SWITCHES, "HF_TOKEN")}
    command = [sys.executable, "-c", "from arc_eval.cli import main; main()", "generate", f"hf://{SMALL}"]
    done = subprocess.run(
        [*command, "a bell", "-o", str(home / "x.wav")],
        capture_output=True,
        text=True,
        env=own | surroundings(endpoint, home),
    )
    return Result(
        runner=runner,
        stdout_bytes=done.stdout.encode(),
        stderr_bytes=done.stderr.encode(),
        output_bytes=(done.stdout + done.stderr).encode(),
        return_value=None,
        exit_code=done.returncode,
        exception=None,
    )


def test_a_gated_repository_without_a_token(tmp_path: Path):
    pytest.importorskip("huggingface_hub", reason="needs the extra `models`")
    with serving(Hub({SMALL: {"model_config.json": b"{}"}}, gated={SMALL})) as hub:
        shown = as_a_user(tmp_path, hub.endpoint)
    refused(shown, "gated", f"https://huggingface.co/{SMALL}", "hf auth login", "HF_TOKEN", "Stability AI")


def test_no_network(tmp_path: Path):
    pytest.importorskip("huggingface_hub", reason="needs the extra `models`")
    shown = as_a_user(tmp_path, closed_port())
    refused(shown, "cannot be reached", f"hf://{SMALL}/", "arc-eval weights fetch stable-audio-open-small")
