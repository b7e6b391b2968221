"""From a folder of files as people have them to a model that generates: any length, any rate, one broken."""

import json
from pathlib import Path

import pytest
import torch

from arc_eval import registry
from arc_eval.contracts import silent
from arc_eval.dsp import write_audio
from arc_eval.errors import SuiteError, TrainingError
from arc_eval.models.autoencoder import build_autoencoder
from arc_eval.models.autoencoder_config import AutoencoderConfig
from arc_eval.models.autoencoder_weights import AutoencoderFile, load_autoencoder, save_autoencoder
from arc_eval.models.weights import load_model
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import initial_weights
from arc_eval.training.latents import encode_latents
from arc_eval.training.loop import train
from arc_eval.training.recipe import RECIPES, Recipe, load_recipe

from .conftest import DIFFUSION, RATE, Written

FILES = {
    "click.wav": (0.05, 44100, 1),
    "bell.wav": (0.3, 48000, 2),
    "rain.flac": (0.4, 22050, 1),
    "wind.wav": (1.2, 96000, 2),
    "deep/drone.wav": (2.0, 44100, 2),
}
BROKEN = "broken.wav"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Five sound files and one that is not, under one list."""
    folder = tmp_path / "sounds"
    (folder / "deep").mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for name, (seconds, rate, channels) in FILES.items():
        noise = 0.2 * torch.randn(channels, round(seconds * rate), generator=rng).clamp(-4, 4)
        write_audio(folder / name, noise, rate)
    (folder / BROKEN).write_bytes(b"RIFF\x10\x00\x00\x00WAVEnothing")
    lines = [f"{name},the sound of {Path(name).stem}" for name in [*FILES, BROKEN]]
    (folder / "metadata.csv").write_text("\n".join(["file_name,caption", *lines]) + "\n")
    return folder


@pytest.fixture
def recipe(recipes: Written, autoencoder: Path, sounds: Path) -> Path:
    """Pre-training on all recordings of the folder."""
    data = {"kind": "folder", "path": str(sounds)}
    own = {"kind": "pretrain", "autoencoder": str(autoencoder), **DIFFUSION, "optimiser": RATE, "data": data}
    return recipes({**own, "examples": None})


def test_a_broken_file_stops_the_training_before_it_starts(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"1 of 6 recordings(.|\n)*broken\.wav.*corrupt") as refused:
        train(load_recipe(recipe), tmp_path / "out")
    assert "max_lost=0.17" in str(refused.value)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()
    assert not (tmp_path / "out" / "model").exists()


def test_with_a_loss_allowed_files_become_a_model_that_generates(recipe: Path, tmp_path: Path) -> None:
    folder = train(load_recipe(recipe, ["max_lost=0.17"]), tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    window = load_model(folder).max_seconds
    seconds = sum(min(seconds, window) for seconds, _, _ in FILES.values())
    assert manifest["data"] == {"examples": 5, "lost": 1, "seconds": pytest.approx(seconds, abs=1e-3)}
    settings = {"kind": "latent", "weights": str(folder), "sampler": "euler", "steps": 2}
    generator = registry.settings("generators", settings, "test").build()
    audio = generator.generate([Prompt("a", "the sound of rain", 0.25, ())], [0])
    assert audio.samples.shape == (1, 2, round(0.25 * 44100))
    assert audio.samples.isfinite().all()


def test_a_stopped_training_finds_its_data_again(recipe: Path, tmp_path: Path) -> None:
    lossy = load_recipe(recipe, ["max_lost=0.5", "steps=4"])
    train(lossy, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "data").rglob("*.safetensors")}
    train(lossy, tmp_path / "out", resume=True)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "data").rglob("*.safetensors")}
    assert before == after and before


def test_a_training_does_not_go_on_with_other_data(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    lossy = load_recipe(recipe, ["max_lost=0.5", "steps=4"])
    train(lossy, tmp_path / "out")
    write_audio(sounds / BROKEN, torch.zeros(1, 4410), 44100)  # mended in between
    with pytest.raises(TrainingError, match=r"data_digest.*changed since"):
        train(lossy, tmp_path / "out", resume=True)


def test_latents_of_a_convolutional_autoencoder_are_its_own(sounds: Path, tmp_path: Path) -> None:
    """Official autoencoders read samples, not features that lie in a cache."""
    path = _oobleck(tmp_path / "oobleck")
    data = {"kind": "folder", "path": str(sounds), "sample_rate": 8000}
    settings = Recipe(reproduces="a test", steps=1, batch=1, data=data, max_lost=0.5)
    found = encode_latents(settings, str(path), tmp_path / "cache", silent)
    network, file = load_autoencoder(path)
    assert [prompt.id for prompt in found.prompts] == [str(Path(name).with_suffix("")) for name in FILES]
    source = registry.settings("data", data, "test").build()
    audio = source.audio("bell")
    padded = torch.nn.functional.pad(audio, (0, file.sample_size - audio.shape[-1]))
    with torch.inference_mode():
        expected = network.encode(padded[None])
    assert torch.allclose(found.rows(torch.tensor([1])), expected, rtol=2e-3, atol=2e-3)


def test_a_recording_whose_latents_would_overflow_is_lost_and_not_trained_on(
    sounds: Path, tmp_path: Path
) -> None:
    write_audio(sounds / BROKEN, 1e30 * torch.ones(2, 8000), 8000)
    data = {"kind": "folder", "path": str(sounds), "sample_rate": 8000}
    settings = Recipe(reproduces="a test", steps=1, batch=1, data=data, max_lost=0.5)
    found = encode_latents(settings, str(_oobleck(tmp_path / "oobleck")), tmp_path / "cache", silent)
    assert [(one.recording, one.reason) for one in found.lost] == [
        ("broken", "its encoding is not finite in float16")
    ]
    assert found.rows(torch.arange(len(found))).isfinite().all()


def _oobleck(folder: Path) -> Path:
    sizes = {"channels": 4, "c_mults": [1, 2], "strides": [4, 4]}
    config = AutoencoderConfig.model_validate(
        {
            "encoder": {"type": "oobleck", "config": {**sizes, "latent_dim": 8}},
            "decoder": {"type": "oobleck", "config": {**sizes, "latent_dim": 4}},
            "latent_dim": 4,
            "downsampling_ratio": 16,
            "io_channels": 2,
        }
    )
    with initial_weights(0):
        network = build_autoencoder(config)
    file = AutoencoderFile(
        model_type="autoencoder", sample_size=4000, sample_rate=8000, audio_channels=2, model=config
    )
    save_autoencoder(network, file, folder, {})
    return folder


def test_the_folder_recipe_says_what_it_needs(tmp_path: Path) -> None:
    assert (RECIPES / "folder_reference.yaml").is_file()
    with pytest.raises(SuiteError, match=r"data\.path"):
        load_recipe("folder_reference").task(tmp_path)
