"""Style transfer: at level 0 the clip itself, through the autoencoder; at level 1 nothing of it."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_suites import SECONDS, save_random_model
from torch import Tensor

from arc_eval.dsp import read_audio, write_audio
from arc_eval.errors import AudioError, DataError
from arc_eval.generators.latent import LatentGenerator, Settings
from arc_eval.models.weights import load_model
from arc_eval.records.prompt import Prompt

RATE = 8000
PROMPTS = [Prompt("a", "a bell", SECONDS), Prompt("b", "a drum", SECONDS)]
SEEDS = [1, 2]
SAMPLERS = ["pingpong", "euler", "dpmpp-2m", "dpmpp-2m-sde", "dpmpp-3m-sde", "ddim"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    flow = save_random_model(tmp_path_factory.mktemp("flow"))
    v = save_random_model(tmp_path_factory.mktemp("v"), objective="v")
    return {name: v if "sde" in name or name == "ddim" else flow for name in SAMPLERS}


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    time = torch.arange(round(SECONDS * RATE)) / RATE
    write_audio(path, 0.5 * torch.sin(2 * torch.pi * 440 * time).repeat(2, 1), RATE)
    return path


def generator(model: Path, sampler: str, **options: object) -> LatentGenerator:
    return Settings.model_validate({"weights": str(model), "sampler": sampler, "steps": 4, **options}).build()


def through_autoencoder(model: Path, clip: Tensor) -> Tensor:
    plain = load_model(model)
    length = plain.config.sample_size
    padded = torch.nn.functional.pad(clip, (0, length - clip.shape[-1]))
    with torch.no_grad():
        return plain.decode(plain.encode(padded[None]))[0, :, : clip.shape[-1]]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_level_0_gives_the_clip_through_the_autoencoder(models: dict[str, Path], tone: Path, sampler: str):
    made = generator(models[sampler], sampler, init_audio=tone, init_level=0.0)
    expected = through_autoencoder(models[sampler], read_audio(tone)[0])
    for clip in made.generate(PROMPTS, SEEDS):
        assert torch.allclose(clip, expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_level_1_ignores_the_clip(models: dict[str, Path], tone: Path, sampler: str):
    with_clip = generator(models[sampler], sampler, init_audio=tone, init_level=1.0)
    without = generator(models[sampler], sampler)
    assert torch.equal(with_clip.generate(PROMPTS, SEEDS).samples, without.generate(PROMPTS, SEEDS).samples)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_more_noise_the_less_of_the_clip_is_left(models: dict[str, Path], tone: Path, sampler: str):
    expected = through_autoencoder(models[sampler], read_audio(tone)[0])
    distances = [
        float(
            (generator(models[sampler], sampler, init_audio=tone, init_level=level)
             .generate(PROMPTS[:1], SEEDS[:1]).samples[0] - expected).norm()
        )
        for level in (0.01, 0.2, 0.6)
    ]  # fmt: skip
    assert distances == sorted(distances)
    assert distances[0] < 0.2 * distances[-1]


def test_a_folder_gives_each_prompt_its_own_clip(models: dict[str, Path], tmp_path: Path):
    for level, name in ((0.1, "a"), (0.4, "b")):
        write_audio(tmp_path / f"{name}.wav", torch.full((2, 2000), level), RATE)
    made = generator(models["euler"], "euler", init_audio=tmp_path, init_level=0.0)
    clips = made.generate(PROMPTS, SEEDS)
    for clip, name in zip(clips, "ab", strict=True):
        expected = through_autoencoder(models["euler"], read_audio(tmp_path / f"{name}.wav")[0])
        assert torch.allclose(clip, expected, atol=1e-5)
    with pytest.raises(AudioError, match="no file for clip 'c'"):
        made.generate([Prompt("c", "no clip", SECONDS)], [3])


def test_a_missing_clip_is_named(models: dict[str, Path], tmp_path: Path):
    with pytest.raises(DataError, match=r"gone.wav: no such file or folder; is `init_audio` right\?"):
        generator(models["euler"], "euler", init_audio=tmp_path / "gone.wav", init_level=0.5)


def test_a_level_without_a_clip_is_refused(models: dict[str, Path]):
    with pytest.raises(ValidationError, match="style transfer needs"):
        generator(models["euler"], "euler", init_level=0.5)
