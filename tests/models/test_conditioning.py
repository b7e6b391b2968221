"""Prompts to tokens: padding is exact, order is as configured, clips do not see one another."""

from zlib import crc32

import pytest
import torch
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.config import T5Config
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.t5 import T5
from arc_eval.models.words import Words, tokenize
from arc_eval.records.prompt import Prompt


def prompt(text: str, seconds: float = 2.0) -> Prompt:
    return Prompt(text, text, seconds)


@pytest.fixture
def words(small_model: LatentDiffusion) -> Words:
    found = small_model.conditioner.conditioners["prompt"]
    assert isinstance(found, Words)
    return found


def test_words_are_lowercase_runs_of_letters_or_digits() -> None:
    spelt = ["a", "120", "bpm", "hi", "hat", "café"]
    assert tokenize("A 120BPM hi-hat: café!", 64) == tuple(1 + crc32(word.encode()) % 63 for word in spelt)


def test_no_word_falls_into_the_padding_bucket() -> None:
    assert min(tokenize(" ".join(f"w{'a' * i}" for i in range(200)), 2)) == 1


def test_captions_are_padded_with_zero_and_cut_at_the_end(words: Words) -> None:
    short, long = words.tokens(["bell", "one two three four five six"])
    assert short.tolist() == [*tokenize("bell", 64), 0, 0, 0, 0]
    assert long.tolist() == list(tokenize("one two three four five", 64))


def test_padded_positions_are_exactly_zero(words: Words) -> None:
    encoded = words([prompt("bell rings"), prompt("")])
    assert encoded.shape == (2, 5, 16)
    assert not encoded[0, 2:].any()
    assert encoded[0, :2].all()
    assert not encoded[1].any()


def test_padding_does_not_change_what_words_mean(words: Words) -> None:
    tokens = words.tokens(["bell rings"])
    alone = words.layers[0](
        (words.embedding(tokens) + words.positions)[:, :2], torch.ones(1, 2, dtype=torch.bool)
    )
    padded = words.layers[0](words.embedding(tokens) + words.positions, tokens != 0)
    assert torch.allclose(alone, padded[:, :2], atol=1e-6)


def test_a_caption_is_encoded_alike_in_any_batch(small_model: LatentDiffusion) -> None:
    alone = small_model.condition([prompt("bell")])
    among = small_model.condition([prompt("low drum", 1.0), prompt("bell"), prompt("")])
    assert torch.allclose(alone.cross[0], among.cross[1], atol=1e-6)
    assert torch.allclose(alone.global_[0], among.global_[1], atol=1e-6)


def test_seconds_token_follows_the_words(small_model: LatentDiffusion) -> None:
    conditioning = small_model.condition([prompt("bell", 1.0), prompt("bell", 3.0)])
    assert conditioning.cross.shape == (2, 6, 16)
    assert torch.equal(conditioning.cross[0, :5], conditioning.cross[1, :5])
    assert torch.equal(conditioning.cross[:, 5], conditioning.global_)
    assert not torch.equal(conditioning.global_[0], conditioning.global_[1])


def test_numbers_outside_their_range_are_clamped(small_model: LatentDiffusion) -> None:
    embed = small_model.conditioner.conditioners["seconds_total"].embed
    assert torch.equal(embed(torch.tensor([9.0, -1.0])), embed(torch.tensor([4.0, 0.0])))


@pytest.fixture
def three() -> Conditioning:
    return Conditioning(torch.arange(12.0).reshape(3, 2, 2) + 1, torch.arange(6.0).reshape(3, 2))


def same(left: Tensor, right: list[float]) -> bool:
    return left.flatten().tolist() == right


def test_without_prompt_every_cross_token_is_zero_and_the_global_vector_stays(three: Conditioning) -> None:
    without = three.without_prompt()
    assert not without.cross.any()
    assert torch.equal(without.global_, three.global_)


def test_dropout_takes_the_prompt_of_the_chosen_clips_alone(three: Conditioning) -> None:
    dropped = three.with_dropout(torch.tensor([False, True, False]))
    assert dropped.cross.any(dim=-1).any(dim=-1).tolist() == [True, False, True]
    assert torch.equal(dropped.global_, three.global_)


def test_permuted_prompts_leave_the_original_untouched(three: Conditioning) -> None:
    before = three.cross.clone()
    permuted = three.with_prompts_of(torch.tensor([1, 2, 0]))
    assert torch.equal(permuted.cross, before[[1, 2, 0]])
    assert torch.equal(permuted.global_, three.global_)
    assert torch.equal(three.cross, before)


def test_repeat_select_and_join_act_on_clips(three: Conditioning) -> None:
    assert torch.equal(three.repeat(2).cross[2:4], three.cross[[1, 1]])
    assert same(three.select(torch.tensor([2])).global_, [4, 5])
    assert torch.equal(three.joined(three).cross[3:], three.cross)


def test_t5_without_transformers_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"needs transformers: pip install 'arc_eval\[models\]'"):
        T5(T5Config(), 768)([prompt("bell")])


def test_t5_of_equal_width_adds_nothing_to_the_checkpoint() -> None:
    assert not T5(T5Config(), 768).state_dict()
    assert set(T5(T5Config(), 32).state_dict()) == {"proj_out.weight", "proj_out.bias"}
