"""Each trap of the released ARC code, with a test that our training would fail if it fell into it.

The released code: `training/arc.py` of stable-audio-tools; the numbers are those of the list that these
tests were written from.
"""

import ast
import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import arc_eval
from arc_eval.dsp import write_audio
from arc_eval.errors import ArcEvalError, CheckpointError
from arc_eval.losses.trajectory import follow
from arc_eval.models.autoencoder import Autoencoder
from arc_eval.models.conditioning import Conditioner, Conditioning
from arc_eval.models.discriminator import ConvHead, logit_count
from arc_eval.samplers.ode import dpmpp_2m
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.training.arc import ArcRecipe, ArcTask
from arc_eval.training.learner import Learner
from arc_eval.training.loop import update
from arc_eval.training.recipe import load_recipe

from .conftest import RATE, Written

STUDENT_STEP, DISCRIMINATOR_STEP = 0, 1
PACKAGE = Path(arc_eval.__file__).parent
TREES = {path: ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


class Arc:
    """Makes ARC trainings of the tests' small family."""

    def __init__(self, teacher: Path, autoencoder: Path, recipes: Written, cache: Path) -> None:
        self.parents = {"teacher": str(teacher), "autoencoder": str(autoencoder)}
        self.recipes, self.cache = recipes, cache

    def task(self, **own: Any) -> ArcTask:
        """A training with these keys over the smallest ones."""
        small = {
            "discriminator_layer": 1,
            "head_stages": 1,
            "optimiser": RATE,
            "discriminator_optimiser": RATE,
        }
        task = load_recipe(self.recipes({"kind": "arc", **self.parents, **small, **own})).task(self.cache)
        assert isinstance(task, ArcTask)
        return task


@pytest.fixture(scope="module")
def arc(teacher: Path, autoencoder: Path, recipes: Written, cache: Path) -> Arc:
    return Arc(teacher, autoencoder, recipes, cache)


def _step(task: ArcTask, step: int) -> dict[str, float]:
    return update(task, step, torch.Generator().manual_seed(step))


def _judged(task: ArcTask) -> list[tuple[Tensor, Tensor, Conditioning]]:
    """What the discriminator is shown in its next step: generated, recorded, recorded under wrong words."""
    seen: list[Any] = []
    hook = task.discriminator.register_forward_pre_hook(lambda _, shown: seen.append(shown))
    _step(task, DISCRIMINATOR_STEP)
    hook.remove()
    return seen


def _captioned(task: ArcTask, captions: list[str]) -> None:
    """Gives the recordings other captions, in turn."""
    batches = task.student.batches
    prompts = [
        replace(prompt, text=captions[i % len(captions)]) for i, prompt in enumerate(batches.data.prompts)
    ]
    batches.data = replace(batches.data, prompts=tuple(prompts))


def _matches(row: Tensor, rows: Tensor) -> list[int]:
    return [i for i, other in enumerate(rows) if torch.allclose(row, other, atol=1e-5)]


# 1. Wrong prompts are made by editing the batch: at two clips half of them are right, at one all are, and a
#    caption that occurs twice is its own negative.


@pytest.mark.parametrize("clips", [2, 3, 4])
def test_every_clip_is_shown_under_the_words_of_another_and_each_once(arc: Arc, clips: int) -> None:
    fake, real, wrong = (conditioning.cross for _, _, conditioning in _judged(arc.task(batch=clips)))
    assert torch.equal(fake, real)
    givers = [_matches(row, real) for row in wrong]
    assert sorted(givers) == [[i] for i in range(clips)]
    assert all(giver != [i] for i, giver in enumerate(givers))


def test_recordings_under_wrong_words_are_noised_as_under_their_own(arc: Arc) -> None:
    _, (x, s, _), (x_wrong, s_wrong, _) = _judged(arc.task())
    assert torch.equal(x, x_wrong) and torch.equal(s, s_wrong)


def test_no_clip_is_shown_its_own_words_as_wrong_ones_while_there_are_others(arc: Arc) -> None:
    task = arc.task()
    _captioned(task, ["rain", "rain", "wind", "bell"])
    for step in (1, 3, 5):
        draw = task.turn(step, torch.Generator().manual_seed(step)).draw
        words = [prompt.text for prompt in draw.prompts]
        assert max(words.count(word) for word in words) <= 2
        assert all(a != b.text for a, b in zip(words, draw.wrong, strict=True))


def test_words_that_most_clips_share_have_no_part_in_the_contrastive_term(arc: Arc) -> None:
    task = arc.task(batch=12)
    _captioned(task, ["rain"] * 11 + ["wind"])
    draw = task.turn(DISCRIMINATOR_STEP, torch.Generator().manual_seed(0)).draw
    told = [a.text != b.text for a, b in zip(draw.prompts, draw.wrong, strict=True)]
    assert draw.differs.tolist() == told
    assert sum(told) == 2


def test_prompts_do_not_drift(arc: Arc) -> None:
    task = arc.task()
    before = list(task.student.batches.data.prompts)
    first, second = (_judged(task)[1][2].cross for _ in range(2))
    assert torch.equal(first, second)
    assert list(task.student.batches.data.prompts) == before


def test_a_wrong_caption_keeps_the_clips_own_length(arc: Arc) -> None:
    task = arc.task()
    data = task.student.batches.data
    lengths = {prompt.id: 0.1 * (1 + i) for i, prompt in enumerate(data.prompts)}
    prompts = tuple(replace(prompt, seconds=lengths[prompt.id]) for prompt in data.prompts)
    task.student.batches.data = replace(data, prompts=prompts)
    _, (_, _, right), (_, _, wrong) = _judged(task)
    assert torch.equal(right.global_, wrong.global_)
    # The last token is seconds_total: were it exchanged too, lengths would betray the wrong caption.
    assert torch.equal(right.cross[:, -1], wrong.cross[:, -1])
    assert not torch.equal(right.cross[:, :-1], wrong.cross[:, :-1])


def test_a_batch_of_one_has_no_wrong_caption_and_says_so(arc: Arc) -> None:
    with pytest.raises(ArcEvalError, match="two different captions"):
        _step(arc.task(batch=1), DISCRIMINATOR_STEP)


def test_a_batch_of_one_can_do_without_the_contrastive_term(arc: Arc) -> None:
    task = arc.task(batch=1, contrastive_weight=0.0)
    assert _step(task, STUDENT_STEP) and _step(task, DISCRIMINATOR_STEP)


# 2 and 5. Padding masks are read from the first clip alone, and are not cut where latents are.


def test_every_clip_has_its_own_padding_mask_over_its_own_frames(arc: Arc, tmp_path: Path) -> None:
    lengths = {"click": 0.1, "bell": 0.2, "rain": 0.4}
    for name, seconds in lengths.items():
        write_audio(tmp_path / f"{name}.wav", torch.full((2, round(seconds * 44100)), 0.5), 44100)
    lines = ["file_name,caption", *(f"{name}.wav,a {name}" for name in lengths)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    data = arc.task(
        data={"kind": "folder", "path": str(tmp_path)}, examples=None, batch=3
    ).student.batches.data
    rows = torch.tensor([2, 0, 1])
    latents, mask = data.rows(rows), data.mask(rows)
    assert mask.dtype == torch.bool and mask.shape == (3, latents.shape[-1])
    assert mask.sum(1).tolist() == [-(-latents.shape[-1] * n // 4) for n in (4, 1, 2)]
    assert not (mask[:, 1:] & ~mask[:, :-1]).any()  # silence comes after the sound


# 3. `with autocast() and set_grad_enabled(...)` enters the second alone.


def test_the_student_computes_in_half_precision_and_learns_only_in_its_own_step(arc: Arc) -> None:
    task = arc.task(precision="bfloat16")
    seen: list[tuple[bool, bool]] = []

    def look(*_: object) -> None:
        seen.append((torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))

    task.student.model.dit.register_forward_pre_hook(look)
    _step(task, STUDENT_STEP)
    _step(task, DISCRIMINATOR_STEP)
    assert seen == [(True, True), (True, False)]


def test_no_two_contexts_are_joined_by_a_word_that_drops_one() -> None:
    wrong = [
        f"{path}:{item.context_expr.lineno}"
        for path, node in _nodes(ast.With, ast.AsyncWith)
        for item in node.items
        if isinstance(item.context_expr, ast.BoolOp)
    ]
    assert not wrong


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, Any]]:
    yield from (
        (path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kinds)
    )


# 4. The warm-up's trajectories lose their clip dimension at one clip, and are gone after a resume.


WARMUP = {"steps": 4, "every": 2, "sampling_steps": 3, "guidance": 2.0}


def test_the_trajectory_of_one_clip_is_that_of_the_clip_in_a_batch() -> None:
    noise, data = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    whole, alone = (
        follow(dpmpp_2m, lambda x, t, n=n: (x - data[:n]) / t[:, None, None], noise[:n], log_snr_times(5))
        for n in (3, 1)
    )
    assert alone.x.shape == (5, 1, 2, 4) and alone.end.shape == (1, 2, 4)
    torch.testing.assert_close(alone.x, whole.x[:, :1])
    torch.testing.assert_close(alone.end, whole.end[:1])


def test_the_warm_up_works_at_one_clip_and_comes_before_the_game(arc: Arc) -> None:
    task = arc.task(batch=1, contrastive_weight=0.0, warmup=WARMUP)
    logged = [_step(task, step) for step in range(6)]
    assert [set(figures) & {"regression", "generator", "discriminator"} for figures in logged] == [
        *[{"regression"}] * 4,
        {"generator"},
        {"discriminator"},
    ]


def test_a_warm_up_resumed_between_two_trajectories_goes_on_with_the_same_one(arc: Arc) -> None:
    task, resumed = (arc.task(warmup=WARMUP) for _ in range(2))
    _step(task, 0)
    for name, learner in task.learners.items():
        resumed.learners[name].load_state_dict(copy.deepcopy(learner.state_dict()))
    assert _step(resumed, 1) == _step(task, 1)


# 6. A log line that is an annotation and logs nothing.


def test_both_steps_log_what_they_minimise(arc: Arc) -> None:
    task = arc.task()
    assert {"generator", "norm"} <= _step(task, STUDENT_STEP).keys()
    assert {"discriminator", "margin", "contrastive", "norm"} <= _step(task, DISCRIMINATOR_STEP).keys()
    assert _step(arc.task(gradient_penalty=1.0), DISCRIMINATOR_STEP)["penalty"] > 0


def test_no_assignment_is_an_annotation_by_mistake() -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for path, node in _nodes(ast.AnnAssign)
        if isinstance(node.target, ast.Subscript)
    ]
    assert not wrong


# 7. Parents are loaded as far as their tensors happen to fit.


@pytest.mark.parametrize("damage", ["missing", "misshapen", "strange"])
def test_a_teacher_that_does_not_fit_is_refused_by_its_tensors_name(
    arc: Arc, teacher: Path, tmp_path: Path, damage: str
) -> None:
    broken = tmp_path / "teacher"
    shutil.copytree(teacher, broken)
    tensors = load_file(broken / "model.safetensors")
    name = "model.model.transformer.layers.1.ff.ff.2.weight"
    tensor = tensors.pop(name)
    if damage == "misshapen":
        tensors[name] = tensor[:-1].clone()
    elif damage == "strange":
        tensors |= {name: tensor, f"{name}_of_another": tensor.clone()}
    save_file(tensors, broken / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"layers\.1\.ff\.ff\.2\.weight"):
        arc.task(teacher=str(broken))


# 8. The discriminator carries a text encoder and an autoencoder of its own.


def test_the_discriminator_is_blocks_and_a_head_and_shares_no_weight_with_the_student(arc: Arc) -> None:
    task = arc.task()
    assert not [m for m in task.discriminator.modules() if isinstance(m, Conditioner | Autoencoder)]
    assert {name.split(".")[0] for name, _ in task.discriminator.named_parameters()} == {"trunk", "head"}
    ours, theirs = (_addresses(network) for network in (task.discriminator, task.student.model))
    assert not ours & theirs
    for ours_at_first, students in zip(
        task.discriminator.trunk.transformer.layers.parameters(),
        task.student.model.dit.transformer.layers.parameters(),
        strict=True,
    ):
        assert torch.equal(ours_at_first, students)


def _addresses(network: nn.Module) -> set[int]:
    return {value.data_ptr() for value in network.state_dict().values()}


# 9. A batch cannot be worked on in parts.


@pytest.mark.parametrize("step", [STUDENT_STEP, DISCRIMINATOR_STEP])
def test_a_batch_in_uneven_parts_gives_the_gradient_of_the_whole(
    arc: Arc, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "_descend", lambda *_: None)  # gradients stay to be looked at
    whole, parts = (arc.task(accumulate=count, gradient_penalty=1.0) for count in (1, 3))
    figures, other = _step(whole, step), _step(parts, step)
    assert other == pytest.approx(figures, rel=1e-4, abs=1e-6)
    networks = [(task.student.model.dit, task.discriminator)[step] for task in (whole, parts)]
    gradients = [[p.grad for p in network.parameters() if p.grad is not None] for network in networks]
    assert len(gradients[0]) == len(gradients[1]) > 0
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-6)


# 10. The average is moved before the step, and lags behind by one.


def test_the_average_follows_the_weights_that_the_step_has_just_made(arc: Arc) -> None:
    task = arc.task()
    learner = task.learners["student"]
    before = _weight(learner.network)
    _step(task, STUDENT_STEP)
    decay = min(0.9, 1 - 2**-0.75)
    expected = decay * before + (1 - decay) * _weight(learner.network)
    assert not torch.equal(expected, before)
    torch.testing.assert_close(_average(learner), expected)
    _step(task, DISCRIMINATOR_STEP)
    torch.testing.assert_close(_average(learner), expected)


def _weight(model: Any) -> Tensor:
    return model.dit.transformer.project_in.weight.detach().clone()  # type: ignore[no-any-return]


def _average(learner: Any) -> Tensor:
    found: list[Tensor] = []
    learner.publish(lambda model: found.append(_weight(model)))
    return found[0]


# 11. The default head cannot read the 257 tokens of the model that it is for.


def test_the_default_head_reads_the_257_tokens_of_the_published_model() -> None:
    assert ConvHead(32)(torch.zeros(2, 32, 257)).shape == (2, 13)
    assert logit_count(257, ArcRecipe.model_fields["head_stages"].default) == 13


def test_a_head_that_cannot_read_its_model_says_what_to_do(arc: Arc) -> None:
    with pytest.raises((ArcEvalError, ValueError), match="fewer stages"):
        _step(arc.task(head_stages=6), DISCRIMINATOR_STEP)


# 12. The defaults are not the paper's recipe.


def test_a_recipe_that_states_nothing_is_the_papers() -> None:
    defaults = {name: field.default for name, field in ArcRecipe.model_fields.items()}
    paper = {
        "generator_times": "logsnr_uniform",
        "discriminator_times": "trunc_logit_normal",
        "adversarial": "relativistic",
        "contrastive_weight": 1.0,
        "gradient_penalty": 0.0,
        "pure_noise": 0.0,
        "warmup": None,
        "head_stages": 4,
    }
    assert {name: defaults[name] for name in paper} == paper
