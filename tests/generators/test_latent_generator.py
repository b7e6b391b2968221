"""A clip is decided by its prompt, its seed and the settings: by nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_suites import SECONDS, save_random_model

from arc_eval.errors import CheckpointError, DataError
from arc_eval.generators.latent import LatentGenerator, Settings
from arc_eval.generators.onednn import OneDnnLinear, available
from arc_eval.models.weights import load_model
from arc_eval.records.prompt import Prompt

PROMPTS = [Prompt(f"p{i}", "a bell" + " ding" * i, SECONDS - 0.05 * (i % 2)) for i in range(5)]
SEEDS = [11, 22, 33, 44, 55]
VARIANTS = [("euler", 3, 2.0), ("dpmpp-2m", 3, 1.0), ("pingpong", 2, 1.0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("model"))


def generator(
    model: Path, sampler: str = "pingpong", steps: int = 2, guidance: float = 1.0
) -> LatentGenerator:
    return Settings(weights=str(model), sampler=sampler, steps=steps, guidance=guidance).build()


@pytest.mark.parametrize(("sampler", "steps", "guidance"), VARIANTS)
def test_neither_batch_nor_order_changes_a_clip(model: Path, sampler: str, steps: int, guidance: float):
    made = generator(model, sampler, steps, guidance)
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
def test_every_stage_is_reported_and_each_step_once(model: Path, sampler: str, steps: int, guidance: float):
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        seen.append(name)
        yield

    made = generator(model, sampler, steps, guidance)
    for _ in range(2):
        seen.clear()
        made.generate(PROMPTS[:1], SEEDS[:1], stage=stage)
        assert seen == ["text", *["step"] * steps, "decode"]


def test_everything_that_decides_a_clip_is_in_the_identity(model: Path, tmp_path: Path):
    other = save_random_model(tmp_path / "other", seed=1)
    base = {"weights": str(model), "sampler": "euler", "steps": 2}
    changes: list[dict[str, object]] = [
        {},
        {"weights": str(other)},
        {"sampler": "pingpong"},
        {"steps": 3},
        {"guidance": 2.0},
        {"dtype": "bfloat16"},
        {"batch": 2},
    ]
    identities = [
        tuple(sorted(Settings(**{**base, **change}).build().identity().items())) for change in changes
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


@pytest.mark.skipif(not available(), reason="this PyTorch has no oneDNN")
def test_onednn_gives_what_the_plain_layers_give(model: Path):
    fast = generator(model, "euler", 3, 2.0)
    assert any(isinstance(module, OneDnnLinear) for module in fast.model.modules())
    plain = LatentGenerator(fast.settings, load_model(model))
    assert not any(isinstance(module, OneDnnLinear) for module in plain.model.modules())
    ours, theirs = fast.generate(PROMPTS, SEEDS).samples, plain.generate(PROMPTS, SEEDS).samples
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
