"""A clip is decided by its prompt, its seed and the settings: by nothing else."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tiny_suites import SECONDS, save_random_model

from arc_eval import registry
from arc_eval.dsp import write_audio
from arc_eval.errors import CheckpointError, DataError, SuiteError
from arc_eval.generators.latent import LatentGenerator, Settings
from arc_eval.generators.sampling import KINDS
from arc_eval.models.fast_linear import OneDnnLinear, worthwhile
from arc_eval.models.weights import load_model
from arc_eval.records.prompt import Prompt

PROMPTS = [Prompt(f"p{i}", "a bell" + " ding" * i, SECONDS - 0.05 * (i % 2)) for i in range(5)]
SEEDS = [11, 22, 33, 44, 55]
VARIANTS = [
    ("euler", 3, 2.0),
    ("dpmpp-2m", 3, 1.0),
    ("pingpong", 2, 1.0),
    ("dpmpp-2m-sde", 4, 2.0),
    ("dpmpp-3m-sde", 4, 1.0),
    ("ddim", 3, 2.0),
]
"""Every sampler, with and without guidance."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def v_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("v-model"), objective="v")


@pytest.fixture(scope="module")
def models(model: Path, v_model: Path) -> dict[str, Path]:
    """The model that a sampler fits."""
    return {name: v_model if "sde" in name or name == "ddim" else model for name, *_ in VARIANTS}


def generator(
    model: Path, sampler: object = "pingpong", steps: int = 2, guidance: float = 1.0, **options: object
) -> LatentGenerator:
    data = {"weights": str(model), "sampler": sampler, "steps": steps, "guidance": guidance, **options}
    return Settings.model_validate(data).build()


def test_every_sampler_is_among_the_variants():
    assert {name for name, *_ in VARIANTS} == set(KINDS)


@pytest.mark.parametrize(("sampler", "steps", "guidance"), VARIANTS)
def test_a_clip_is_the_same_alone_among_others_and_in_batches_of_eight(
    models: dict[str, Path], sampler: str, steps: int, guidance: float
):
    prompts = [Prompt(f"q{i}", "hum" + " ho" * i, SECONDS) for i in range(8)]
    seeds = list(range(100, 108))
    one_by_one = generator(models[sampler], sampler, steps, guidance)
    batched = generator(models[sampler], sampler, steps, guidance, batch=8)
    among_others = one_by_one.generate(prompts, seeds).samples
    together = batched.generate(prompts, seeds).samples
    scale = among_others.abs().max()
    assert (together - among_others).abs().max() < 1e-5 * scale
    for prompt, seed, clip in zip(prompts, seeds, among_others, strict=True):
        assert torch.equal(one_by_one.generate([prompt], [seed]).samples[0], clip)


@pytest.mark.parametrize(("sampler", "steps", "guidance"), VARIANTS)
def test_order_does_not_change_a_clip(models: dict[str, Path], sampler: str, steps: int, guidance: float):
    made = generator(models[sampler], sampler, steps, guidance)
    together = list(made.generate(PROMPTS, SEEDS))
    alone = [next(iter(made.generate([p], [s]))) for p, s in zip(PROMPTS, SEEDS, strict=True)]
    backwards = list(made.generate(PROMPTS[::-1], SEEDS[::-1]))[::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_clips_have_the_length_their_prompts_ask_for(model: Path):
    made = generator(model)
    lengths = made.generate(PROMPTS, SEEDS).lengths
    assert lengths == tuple(round(prompt.seconds * made.sample_rate) for prompt in PROMPTS)


def test_another_seed_or_prompt_gives_another_clip(model: Path):
    made = generator(model)
    first, other_seed = made.generate([PROMPTS[0]] * 2, [1, 2])
    assert not torch.allclose(first, other_seed)
    other_prompt = next(iter(made.generate([PROMPTS[2]], [1])))
    assert not torch.equal(first, other_prompt)


def test_the_process_wide_random_stream_neither_decides_nor_moves(model: Path):
    made = generator(model)
    torch.manual_seed(1)
    first = made.generate(PROMPTS[:1], SEEDS[:1]).samples
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(made.generate(PROMPTS[:1], SEEDS[:1]).samples, first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("sampler", "steps", "guidance"), VARIANTS)
def test_every_stage_is_reported_and_each_step_once(
    models: dict[str, Path], sampler: str, steps: int, guidance: float
):
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        seen.append(name)
        yield

    made = generator(models[sampler], sampler, steps, guidance)
    for _ in range(2):
        seen.clear()
        made.generate(PROMPTS[:1], SEEDS[:1], stage=stage)
        assert seen == ["text", *["step"] * steps, "decode"]


def trained(model: Path, folder: Path) -> Path:
    """The model as a training script leaves it: live weights and their average."""
    folder.mkdir()
    (folder / "model_config.json").write_bytes((model / "model_config.json").read_bytes())
    live = load_file(model / "model.safetensors")
    mean = {f"diffusion_ema.ema_{name}": tensor for name, tensor in live.items() if name.startswith("model.")}
    state = {**{f"diffusion.{name}": tensor for name, tensor in live.items()}, **mean}
    torch.save({"state_dict": state}, folder / "model.ckpt")
    return folder


def listed(folder: Path, first: str, second: str) -> Path:
    """A folder of two sounds, and a list that says which prompt's they are."""
    folder.mkdir()
    for level, file in enumerate(("1.wav", "2.wav")):
        write_audio(folder / file, torch.full((2, 100), 0.1 * level), 8000)
    (folder / "metadata.csv").write_text(f"file_name,id\n1.wav,{first}\n2.wav,{second}\n")
    return folder


def test_everything_that_decides_a_clip_is_in_the_identity(model: Path, v_model: Path, tmp_path: Path):
    other = save_random_model(tmp_path / "other", seed=1)
    checkpoint = {"weights": str(trained(model, tmp_path / "trained"))}
    sde = {"weights": str(v_model), "sampler": "dpmpp-3m-sde"}
    folders = [listed(tmp_path / "ab", "a", "b"), listed(tmp_path / "ba", "b", "a")]
    beginnings = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for level, file in enumerate(beginnings):
        write_audio(file, torch.full((2, 100), 0.1 * level), 8000)
    base = {"weights": str(model), "sampler": "euler", "steps": 2}
    changes: list[dict[str, object]] = [
        {},
        {"weights": str(other)},
        {"sampler": "pingpong"},
        {"steps": 3},
        {"guidance": 2.0},
        {"sampler": "dpmpp-2m"},
        {"sampler": {"kind": "euler", "log_snr_start": -6.2}},
        {**sde},
        {**sde, "sampler": {"kind": "dpmpp-3m-sde", "eta": 0.5}},
        {**sde, "sampler": {"kind": "dpmpp-3m-sde", "sigma_min": 0.2}},
        {**sde, "sampler": {"kind": "dpmpp-3m-sde", "sigma_max": 80.0}},
        {**sde, "sampler": {"kind": "dpmpp-3m-sde", "rho": 2.0}},
        {**checkpoint, "ema": True},
        {**checkpoint, "ema": False},
        {"guidance": 2.0, "guidance_interval": (0.2, 0.8)},
        {"guidance": 2.0, "guidance_rescale": 0.5},
        {"guidance": 2.0, "apg": 1.0},
        {"guidance": 2.0, "negative_prompt": "noise"},
        {"init_audio": beginnings[0], "init_level": 0.5},
        {"init_audio": beginnings[1], "init_level": 0.5},
        {"init_audio": beginnings[0], "init_level": 0.4},
        {"init_audio": folders[0], "init_level": 0.5},
        {"init_audio": folders[1], "init_level": 0.5},
        {"dtype": "bfloat16"},
        {"decoder_dtype": "bfloat16"},
        {"batch": 2},
    ]
    identities = [
        tuple(sorted(Settings.model_validate({**base, **change}).build().identity().items()))
        for change in changes
    ]
    assert len(set(identities)) == len(changes)


def test_the_same_weights_elsewhere_have_the_same_identity(model: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert generator(copy).identity() == generator(model).identity()


def test_the_training_manifest_comes_along(model: Path):
    assert generator(model).lineage()["recipe"] == "random"


def test_a_prompt_longer_than_the_model_is_refused(model: Path):
    with pytest.raises(DataError, match=r"p: asks for 9 s"):
        generator(model).generate([Prompt("p", "long", 9.0)], [0])


def test_a_checkpoint_of_another_architecture_names_its_tensors(model: Path, tmp_path: Path):
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    config = (model / "model_config.json").read_text()
    (folder / "model_config.json").write_text(config.replace('"depth": 2', '"depth": 3'))
    with pytest.raises(CheckpointError, match=r"missing.*transformer\.layers\.2"):
        generator(folder)


@pytest.mark.skipif(not worthwhile(), reason="no oneDNN, or a CPU on which it is not faster")
def test_onednn_gives_what_the_plain_layers_give(model: Path):
    fast = generator(model, "euler", 3, 2.0)
    assert any(isinstance(module, OneDnnLinear) for module in fast.model.modules())
    plain = LatentGenerator(fast.settings, load_model(model))
    assert not any(isinstance(module, OneDnnLinear) for module in plain.model.modules())
    ours, theirs = fast.generate(PROMPTS, SEEDS).samples, plain.generate(PROMPTS, SEEDS).samples
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_windows_of_the_decoder_change_nothing_but_rounding(model: Path):
    whole = generator(model, window=1000).generate(PROMPTS, SEEDS).samples
    small = generator(model, window=3).generate(PROMPTS, SEEDS).samples
    assert (small - whole).abs().max() < 1e-5 * whole.abs().max()


def test_a_sampler_for_another_objective_is_refused_with_those_that_fit(model: Path, v_model: Path):
    with pytest.raises(CheckpointError, match=r"'ddim' does not fit .*'rectified_flow'; pingpong or euler"):
        generator(model, "ddim")
    with pytest.raises(CheckpointError, match=r"'pingpong' does not fit .*'v'; dpmpp-2m-sde or"):
        generator(v_model, "pingpong")


def test_an_unknown_sampler_is_answered_with_the_near_miss(model: Path):
    with pytest.raises(ValidationError, match=r"no sampler 'pingpon'; did you mean 'pingpong'\?"):
        generator(model, "pingpon")
    with pytest.raises(ValidationError, match=r"eta"):
        generator(model, {"kind": "euler", "eta": 1.0})


def test_weights_of_another_rate_than_expected_are_refused(model: Path):
    assert generator(model, sample_rate=8000).sample_rate == 8000
    with pytest.raises(CheckpointError, match=r"makes audio at 8000 Hz, but sample_rate asks for 44100 Hz"):
        generator(model, sample_rate=44100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"guidance_interval": (0.8, 0.2)}, "0 <= low < high <= 1, not 0.8, 0.2"),
        ({"guidance_interval": (0.2, 0.2)}, "0 <= low < high <= 1"),
        ({"guidance_interval": (-0.1, 0.5)}, "0 <= low < high <= 1"),
        ({"guidance_interval": (0.5, 1.1)}, "0 <= low < high <= 1"),
        ({"guidance_interval": (0.5, math.inf)}, "finite"),
        ({"guidance": math.nan}, "finite"),
        ({"guidance": math.inf}, "finite"),
        ({"apg": math.nan}, "finite"),
        ({"sampler": {"kind": "dpmpp-3m-sde", "sigma_min": 500.0}}, "sigma_min must lie below sigma_max"),
        ({"sampler": {"kind": "dpmpp-3m-sde", "sigma_max": 0.2}}, "sigma_min must lie below sigma_max"),
        ({"sampler": {"kind": "dpmpp-2m-sde", "sigma_max": math.inf}}, "finite"),
        ({"sampler": {"kind": "dpmpp-2m-sde", "eta": math.nan}}, "finite"),
        ({"sampler": {"kind": "euler", "log_snr_start": 1.0}}, "less than or equal to 0"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused_before_anything_is_loaded(
    options: dict[str, object], said: str
):
    data = {"weights": "nowhere", "sampler": "euler", "steps": 2, "guidance": 2.0, **options}
    with pytest.raises(SuiteError, match=said):
        registry.settings("generators", {"kind": "latent", **data}, "suite.yaml: generators.x")


@pytest.mark.parametrize(
    ("sampler", "near"),
    [
        ({"kind": "dpmpp-3m-sde", "sigma_mim": 0.1}, "did you mean 'sigma_min'"),
        ({"kind": "dpmpp-3m-sde", "weihgts": 0.1}, "known: eta, kind, rho, sigma_max, sigma_min$"),
        ({"kind": "ddim", "zzz": 1}, "known: eta, kind$"),
    ],
)
def test_an_unknown_option_of_a_sampler_is_answered_with_that_samplers_own(
    sampler: dict[str, object], near: str
):
    data = {"kind": "latent", "weights": "nowhere", "steps": 2, "sampler": sampler}
    with pytest.raises(SuiteError, match=near):
        registry.settings("generators", data, "suite.yaml: generators.x")


@pytest.mark.parametrize("sampler", ["ddim", {"kind": "dpmpp-3m-sde", "eta": 0.5, "sigma_max": 80.0}])
def test_settings_are_written_as_they_are_read(v_model: Path, sampler: object):
    settings = Settings.model_validate({"weights": str(v_model), "sampler": sampler, "steps": 3})
    written = settings.model_dump(mode="json")
    assert written["sampler"] == sampler
    assert Settings.model_validate(written) == settings


@pytest.mark.parametrize("option", [{"negative_prompt": "noise"}, {"apg": 1.0}, {"guidance_rescale": 0.5}])
def test_an_option_of_guidance_without_guidance_is_refused(model: Path, option: dict[str, object]):
    with pytest.raises(ValidationError, match="without effect at guidance 1"):
        generator(model, **option)


def test_a_negative_prompt_equal_to_the_prompt_takes_guidance_away(model: Path):
    plain = generator(model, "euler", 3).generate(PROMPTS[:1], SEEDS[:1]).samples
    same = generator(model, "euler", 3, 4.0, negative_prompt=PROMPTS[0].text)
    assert torch.allclose(same.generate(PROMPTS[:1], SEEDS[:1]).samples, plain, atol=1e-5)
    other = generator(model, "euler", 3, 4.0, negative_prompt="something else")
    assert not torch.allclose(other.generate(PROMPTS[:1], SEEDS[:1]).samples, plain, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_clips_made_on_cuda_are_those_made_on_the_cpu(tmp_path: Path) -> None:
    model = save_random_model(tmp_path)
    write = {"weights": str(model), "sampler": "euler", "steps": 4, "guidance": 2.0}
    prompt = Prompt("a", "a bell", SECONDS)
    ours, theirs = (
        Settings.model_validate({**write, "device": device}).build().generate([prompt], [1]).samples
        for device in ("cpu", "cuda")
    )
    assert float((theirs - ours).norm() / ours.norm()) < 1e-4
