"""MusicGen keeps our contract, although its sampling knows only the process-wide random stream."""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra `models`")

from foreign_models import save_musicgen, text_encoder

from arc_eval.errors import CheckpointError, DataError
from arc_eval.generators.transformers import MusicGen, Settings
from arc_eval.records.prompt import Prompt

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

RATE, HOP = 8000, 64
PROMPTS = [
    Prompt("a", "a bell", 0.1),
    Prompt("b", "dog in the rain", 0.16),
    Prompt("c", "low drum loop", 0.05),
]
SEEDS = [11, 22, 33]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_musicgen(tmp_path_factory.mktemp("musicgen"))


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MusicGen:
    saved = save_musicgen(tmp_path_factory.mktemp("musicgen"), channels=request.param)
    return Settings(model=str(saved)).build()


def clip(generator: MusicGen, prompt: Prompt = PROMPTS[0], seed: int = 11) -> torch.Tensor:
    return next(iter(generator.generate([prompt], [seed])))


def test_rate_channels_and_lengths_are_the_models_own_and_the_prompts(made: MusicGen):
    audio = made.generate(PROMPTS, SEEDS)
    assert (audio.sample_rate, audio.samples.shape[1]) == (RATE, made.model.config.decoder.audio_channels)
    assert audio.lengths == tuple(round(prompt.seconds * RATE) for prompt in PROMPTS)
    assert audio.samples.isfinite().all()


def test_prompt_and_seed_decide_and_neither_batch_nor_order(made: MusicGen):
    together = list(made.generate(PROMPTS, SEEDS))
    backwards = list(made.generate(PROMPTS[::-1], SEEDS[::-1]))[::-1]
    assert all(torch.equal(a, b) for a, b in zip(together, backwards, strict=True))
    same = clip(made)
    assert torch.equal(same, together[0])
    assert not torch.equal(clip(made, seed=12), same)
    assert not torch.equal(clip(made, Prompt("a", "high tone", 0.1)), same)


def test_the_process_wide_random_stream_neither_decides_nor_moves(folder: Path):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = clip(Settings(model=str(folder)).build())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(clip(Settings(model=str(folder)).build()), first)


def test_no_more_codes_are_drawn_than_the_clip_needs(made: MusicGen, monkeypatch: pytest.MonkeyPatch):
    plain, raw = made.model.generate, []

    def recorded(**asked: Any) -> torch.Tensor:
        raw.append(plain(**asked))
        return raw[-1]

    monkeypatch.setattr(made.model, "generate", recorded)
    made.generate(PROMPTS, SEEDS)
    assert [audio.shape[-1] for audio in raw] == [HOP * math.ceil(p.seconds * RATE / HOP) for p in PROMPTS]


def test_each_stage_is_announced(made: MusicGen):
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        yield
        seen.append(name)

    made.generate(PROMPTS[:1], SEEDS[:1], stage=stage)
    assert list(dict.fromkeys(seen)) == ["text", "step", "decode"]
    assert seen.count("step") > PROMPTS[0].seconds * RATE / HOP
    clip(made)
    assert seen.count("text") == 1


def test_without_sampling_the_seed_decides_nothing(folder: Path):
    greedy = Settings(model=str(folder), do_sample=False).build()
    assert torch.equal(clip(greedy, seed=1), clip(greedy, seed=2))
    assert torch.equal(clip(Settings(model=str(folder), top_k=1).build()), clip(greedy))


def test_the_longest_clip_has_the_frames_the_model_was_made_for(folder: Path):
    made = Settings(model=str(folder)).build()
    assert made.max_seconds == 75 * HOP / RATE
    longest = Prompt("long", "a bell", made.max_seconds)
    assert clip(made, longest).shape[-1] == 75 * HOP
    with pytest.raises(DataError, match=r"a: asks for 1 s; this model makes more than 0 and at most 0\.6 s"):
        clip(made, Prompt("a", "a bell", 1.0))


def test_identity_changes_with_what_decides_a_clip_and_not_with_where_the_weights_lie(
    folder: Path, tmp_path: Path
):
    identity = Settings(model=str(folder)).build().identity()
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert Settings(model=str(copy)).build().identity() == identity
    config = copy / "generation_config.json"
    config.write_text(config.read_text().replace('"guidance_scale": 3.0', '"guidance_scale": 2.0'))
    changes: list[dict[str, Any]] = [
        {"model": str(copy)},
        {"guidance": 2.0},
        {"temperature": 0.5},
        {"top_k": 4},
        {"top_p": 0.9},
        {"do_sample": False},
        {"dtype": "bfloat16"},
    ]
    others = [Settings(**{"model": str(folder), **change}).build().identity() for change in changes]
    assert len({json.dumps(dict(other), sort_keys=True) for other in [identity, *others]}) == 8


def test_half_precision_gives_audio_in_float32(folder: Path):
    half = clip(Settings(model=str(folder), dtype="bfloat16").build())
    assert half.dtype == torch.float32
    assert half.isfinite().all()


def test_a_damaged_or_missing_model_is_a_checkpoint_error(folder: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"/nowhere/model: no such folder; is `model` right?"):
        Settings(model="/nowhere/model").build()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: cannot be loaded: "):
        Settings(model=str(tmp_path / "empty")).build()
    cut = Path(shutil.copytree(folder, tmp_path / "cut"))
    (cut / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cut: cannot be loaded: "):
        Settings(model=str(cut)).build()


def test_missing_tensors_are_named_and_not_made_up(folder: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    holed = Path(shutil.copytree(folder, tmp_path / "holed"))
    tensors = load_file(holed / "model.safetensors")
    del tensors["decoder.model.decoder.layer_norm.weight"]
    save_file(tensors, holed / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"tensors are missing: decoder\.model\.decoder\.layer_norm\.weight"
    ):
        Settings(model=str(holed)).build()


def test_another_kind_of_model_is_refused(tmp_path: Path):
    text_encoder().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"a model of type 't5'; only 'musicgen' is supported here"):
        Settings(model=str(tmp_path)).build()


def test_a_model_of_the_hub_is_not_dialled_for_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ARC_EVAL_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"hf://somebody/some-model: .*nothing is downloaded while offline"
    ):
        Settings(model="somebody/some-model").build()


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"pip install 'arc_eval\[models\]'"):
        Settings(model=str(folder)).build()
