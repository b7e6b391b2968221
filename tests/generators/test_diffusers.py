"""Pipelines of diffusers keep our contract: a clip is decided by prompt, seed and settings alone."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra `diffusers`")
pytest.importorskip(
    "torchsde", reason="needs the extra `diffusers`: Stable Audio's scheduler draws with torchsde"
)

from foreign_models import save_audio_ldm2, save_music_ldm, save_stable_audio, use_whole_gpt2

from arc_eval.errors import AudioError, CheckpointError, DataError, SuiteError
from arc_eval.generators.diffusers import DiffusersGenerator, Settings
from arc_eval.generators.foreign import exactly
from arc_eval.generators.pretrained import pretrained
from arc_eval.records.prompt import Prompt

# What the libraries say to each other.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Should have:UserWarning",
    "ignore:.*weight_norm.*:FutureWarning",
    "ignore:At least one mel:UserWarning",
)

PROMPTS = [Prompt("a", "a bell", 0.3), Prompt("b", "dog in the rain", 0.2), Prompt("c", "low drum loop", 0.1)]
SEEDS = [11, 22, 33]
PIPELINES: dict[str, Callable[[Path], Path]] = {
    "stable-audio": save_stable_audio,
    "stable-audio-edm": lambda folder: save_stable_audio(folder, "EDMDPMSolverMultistepScheduler"),
    "music-ldm": save_music_ldm,
    "audio-ldm2": save_audio_ldm2,
}
FORMS = {
    "stable-audio": (8000, 2),
    "stable-audio-edm": (8000, 2),
    "music-ldm": (16000, 1),
    "audio-ldm2": (16000, 1),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a pipeline, written when it is first asked for."""
    root = tmp_path_factory.mktemp("pipelines")

    def folder(name: str) -> Path:
        return root / name if (root / name).exists() else PIPELINES[name](root / name)

    return folder


@pytest.fixture(scope="module")
def made(saved: Callable[[str], Path]) -> Callable[[str], DiffusersGenerator]:
    built: dict[str, DiffusersGenerator] = {}

    def generator(name: str) -> DiffusersGenerator:
        if name not in built:
            built[name] = Settings(model=str(saved(name)), steps=2).build()
        return built[name]

    return generator


@pytest.fixture(scope="module")
def stable_audio(saved: Callable[[str], Path]) -> Path:
    return saved("stable-audio")


def clip(generator: DiffusersGenerator, prompt: Prompt = PROMPTS[0], seed: int = 11) -> torch.Tensor:
    return next(iter(generator.generate([prompt], [seed])))


@pytest.mark.parametrize("name", PIPELINES)
def test_rate_channels_and_lengths_are_the_pipelines_own_and_the_prompts(made: Any, name: str):
    audio = made(name).generate(PROMPTS, SEEDS)
    rate, channels = FORMS[name]
    assert (audio.sample_rate, audio.samples.shape[1]) == (rate, channels)
    assert audio.lengths == tuple(round(prompt.seconds * rate) for prompt in PROMPTS)
    assert audio.samples.isfinite().all()


@pytest.mark.parametrize("name", PIPELINES)
def test_prompt_and_seed_decide_and_neither_batch_nor_order(made: Any, name: str):
    together = list(made(name).generate(PROMPTS, SEEDS))
    backwards = list(made(name).generate(PROMPTS[::-1], SEEDS[::-1]))[::-1]
    assert all(torch.equal(a, b) for a, b in zip(together, backwards, strict=True))
    same = clip(made(name))
    assert torch.equal(same, together[0])
    assert not torch.equal(clip(made(name), seed=12), same)
    assert not torch.equal(clip(made(name), Prompt("a", "high tone", 0.3)), same)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_process_wide_random_stream_neither_decides_nor_moves(made: Any, name: str):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = clip(made(name))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(clip(made(name)), first)


def test_even_a_scheduler_that_draws_from_the_process_is_held_to_the_seed(
    made: Any, monkeypatch: pytest.MonkeyPatch
):
    scheduler = made("stable-audio-edm").pipeline.scheduler
    plain = scheduler.step

    def careless(*args: Any, generator: Any = None, **kwargs: Any) -> Any:
        found = plain(*args, **kwargs)
        found.prev_sample += torch.randn_like(found.prev_sample)
        return found

    monkeypatch.setattr(scheduler, "step", careless)
    first = clip(made("stable-audio-edm"))
    assert torch.equal(clip(made("stable-audio-edm")), first)
    assert not torch.equal(clip(made("stable-audio-edm"), seed=12), first)


def test_building_leaves_the_process_wide_random_stream_alone(stable_audio: Path):
    before = torch.random.get_rng_state()
    Settings(model=str(stable_audio)).build()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_clip_is_what_the_pipeline_itself_gives(stable_audio: Path):
    from diffusers import StableAudioPipeline

    pipeline = StableAudioPipeline.from_pretrained(stable_audio, low_cpu_mem_usage=False)
    theirs = pipeline(
        "a bell",
        audio_end_in_s=0.3,
        num_inference_steps=3,
        guidance_scale=4.0,
        negative_prompt="rain",
        generator=torch.Generator().manual_seed(11),
    ).audios[0]
    settings = Settings(model=str(stable_audio), steps=3, guidance=4.0, negative_prompt="rain")
    assert torch.equal(clip(settings.build()), theirs)


def test_audioldm2_grows_its_sequence_alike_with_the_bare_and_the_whole_gpt2(
    made: Any, saved: Any, tmp_path: Path
):
    whole = use_whole_gpt2(Path(shutil.copytree(saved("audio-ldm2"), tmp_path / "whole")))
    expected = clip(Settings(model=str(whole), steps=2).build())
    assert torch.equal(clip(made("audio-ldm2")), expected)


def test_each_stage_is_announced_as_often_as_it_runs(made: Any):
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        yield
        seen.append(name)

    made("stable-audio").generate(PROMPTS[:1], SEEDS[:1], stage=stage)
    assert seen == ["text", "step", "step", "decode"]
    clip(made("stable-audio"))
    assert len(seen) == 4


def test_a_length_that_the_pipeline_rounds_down_is_filled_by_one_sample(made: Any):
    longer = Prompt("a", "a bell", 0.1 + 0.6 / 8000)  # 800.6 samples: 801, of which the pipeline gives 800
    assert clip(made("stable-audio"), longer).shape[-1] == 801


def test_a_clip_that_is_too_short_is_refused_with_both_lengths():
    with pytest.raises(AudioError, match=r"somebody: 700 samples \(0.087 s\) where 0.1 s, 800 samples"):
        exactly(torch.zeros(1, 700), Prompt("a", "a bell", 0.1), 8000, "somebody")


def test_a_prompt_longer_than_the_pipeline_can_make_is_named(made: Any):
    with pytest.raises(
        DataError, match=r"^a: StableAudioPipeline refuses it: .*longer than the model maximum"
    ):
        clip(made("stable-audio"), Prompt("a", "a bell", 2.0))


def test_another_scheduler_takes_the_configuration_of_the_models_own(saved: Any):
    with pytest.raises(SuiteError, match=r"scheduler: no 'DDPMSchedule' .* did you mean 'DDPMScheduler'"):
        Settings(model=str(saved("music-ldm")), scheduler="DDPMSchedule").build()
    other = Settings(model=str(saved("music-ldm")), scheduler="DPMSolverMultistepScheduler", steps=2).build()
    assert other.pipeline.scheduler.config.beta_schedule == "linear"
    assert other.identity()["scheduler"] == "DPMSolverMultistepScheduler"


def test_options_reach_the_call_and_unknown_ones_are_named(stable_audio: Path, made: Any):
    later = Settings(model=str(stable_audio), steps=2, options={"audio_start_in_s": 0.0, "eta": 0.5}).build()
    assert torch.equal(clip(later), clip(made("stable-audio")))  # this scheduler knows no eta
    for name, near in [("audio_strat_in_s", "audio_start_in_s"), ("generator", ""), ("audio_end_in_s", "")]:
        with pytest.raises(SuiteError, match=rf"options\.{name}: .*StableAudioPipeline.*{near}"):
            Settings(model=str(stable_audio), options={name: 1}).build()


def test_identity_changes_with_what_decides_a_clip_and_not_with_where_the_weights_lie(
    stable_audio: Path, tmp_path: Path
):
    plain = {"model": str(stable_audio), "steps": 2}
    identity = Settings(**plain).build().identity()
    copy = Path(shutil.copytree(stable_audio, tmp_path / "copy"))
    assert Settings(model=str(copy), steps=2).build().identity() == identity
    weights = next(copy.glob("vae/*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changes: list[dict[str, Any]] = [
        {"model": str(copy)},
        {"steps": 3},
        {"guidance": 2.0},
        {"negative_prompt": "rain"},
        {"dtype": "bfloat16"},
        {"options": {"eta": 0.5}},
    ]
    others = [Settings(**{**plain, **change}).build().identity() for change in changes]
    assert len({json.dumps(dict(other), sort_keys=True) for other in [identity, *others]}) == 7


def test_half_precision_gives_audio_in_float32(stable_audio: Path, made: Any):
    half = clip(Settings(model=str(stable_audio), steps=2, dtype="bfloat16").build())
    whole = clip(made("stable-audio"))
    assert half.dtype == torch.float32
    assert 0 < (half - whole).norm() < 0.2 * whole.norm()


def test_a_damaged_or_missing_model_is_a_checkpoint_error(stable_audio: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"/nowhere/model: no such folder; is `model` right?"):
        Settings(model="/nowhere/model").build()
    with pytest.raises(CheckpointError, match=r"a folder has no `revision`"):
        Settings(model=str(stable_audio), revision="main").build()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: cannot be loaded: .*model_index\.json"):
        Settings(model=str(tmp_path / "empty")).build()
    copy = Path(shutil.copytree(stable_audio, tmp_path / "cut"))
    weights = next(copy.glob("vae/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cut: cannot be loaded: "):
        Settings(model=str(copy)).build()


def test_weights_of_the_hub_are_known_by_their_commit(tmp_path: Path):
    found = pretrained("somebody/some-model", "main", lambda: tmp_path / "0a1b2c")
    assert found.identity() == {"model": "somebody/some-model", "commit": "0a1b2c"}


def test_a_model_of_the_hub_is_not_dialled_for_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ARC_EVAL_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"hf://somebody/some-model: .*nothing is downloaded while offline"
    ):
        Settings(model="somebody/some-model").build()


def test_a_pipeline_that_makes_no_audio_of_text_is_refused(tmp_path: Path):
    import diffusers

    unet = diffusers.UNet2DModel(
        block_out_channels=(4, 4),
        norm_num_groups=2,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        layers_per_block=1,
        attention_head_dim=2,
    )
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"DDPMPipeline does not make audio of text"):
        Settings(model=str(tmp_path)).build()


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    stable_audio: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(CheckpointError, match=r"pip install 'arc_eval\[diffusers\]'"):
        Settings(model=str(stable_audio)).build()
