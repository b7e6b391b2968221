"""Style transfer: at level 0 the clip itself, through the autoencoder; at level 1 nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_suites import SECONDS, save_random_model
from torch import Tensor

from arc_eval.dsp import read_audio, write_audio
from arc_eval.errors import AudioError, DataError
from arc_eval.generators.latent import LatentGenerator, Settings
from arc_eval.generators.sampling import Noise, Start
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


def distance(model: Path, sampler: str, tone: Path, level: float, steps: int = 4) -> float:
    """How far a clip made at a level is from the clip that it began with, through the autoencoder."""
    made = generator(model, sampler, init_audio=tone, init_level=level, steps=steps)
    found = made.generate(PROMPTS[:1], SEEDS[:1]).samples[0]
    expected = through_autoencoder(model, read_audio(tone)[0])
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_more_noise_the_less_of_the_clip_is_left(models: dict[str, Path], tone: Path, sampler: str):
    distances = [distance(models[sampler], sampler, tone, level) for level in (0.001, 0.01, 0.1, 0.6)]
    assert distances == sorted(distances)
    assert distances[1] < 0.1 * distances[-1]


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_clip_itself_is_what_less_and_less_noise_leads_to(
    models: dict[str, Path], tone: Path, sampler: str, steps: int
):
    """In proportion to the level: nothing is put on that is not taken out again."""
    for level in (1e-2, 1e-4, 1e-6, 1e-12):
        assert distance(models[sampler], sampler, tone, level, steps) < 10 * level + 1e-5


@pytest.mark.parametrize("steps", [1, 2, 100])
@pytest.mark.parametrize("level", [0.01, 0.119, 0.185, 0.1856, 0.3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_step_is_taken_and_each_at_less_noise_than_the_last(
    models: dict[str, Path], tone: Path, sampler: str, level: float, steps: int
):
    """Stable Audio Open 1.0's sigma_min of 0.3 is the level 0.1855, rectified flow's last log-SNR 0.1192."""
    made = generator(models[sampler], sampler, init_audio=tone, init_level=level, steps=steps)
    times: list[float] = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        times.append(float(t))
        return torch.zeros_like(x)

    noise = Noise(SEEDS[:1], (4, 8), "cpu")
    start = Start(torch.ones(1, 4, 8), level)
    assert made.settings.sampler.sample(velocity, noise, steps, start).isfinite().all()
    assert len(times) == steps
    assert times[0] == pytest.approx(level, rel=1e-5)
    assert all(later < now for now, later in pairwise(times))


def watched(made: LatentGenerator, *lengths: int) -> list[int]:
    """How many clips the encoder sees at a time, call by call, while clips are made."""
    seen: list[int] = []
    encode = made.model.encode
    made.model.encode = lambda audio: (seen.append(len(audio)), encode(audio))[1]  # type: ignore[method-assign]
    for length in lengths:
        prompts = [Prompt(f"p{i}", "a bell", SECONDS) for i in range(length)]
        made.generate(prompts, list(range(length)))
    return seen


def test_a_file_is_encoded_once_in_a_call_and_not_at_all_at_level_1(models: dict[str, Path], tone: Path):
    for batch in (1, 2):
        made = generator(models["euler"], "euler", init_audio=tone, init_level=0.5, batch=batch)
        assert watched(made, 3, 1) == [1, 1]
    assert watched(generator(models["euler"], "euler", init_audio=tone, init_level=1.0), 3) == []


@pytest.mark.parametrize(
    ("level", "stages"),
    [(0.0, ["encode", "decode"]), (0.5, ["encode", "text", *["step"] * 4, "decode"]), (1.0, None)],
)
def test_encoding_is_a_stage(models: dict[str, Path], tone: Path, level: float, stages: list[str] | None):
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        seen.append(name)
        yield

    made = generator(models["euler"], "euler", init_audio=tone, init_level=level)
    made.generate(PROMPTS[:1], SEEDS[:1], stage=stage)
    assert seen == (stages or ["text", *["step"] * 4, "decode"])


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
