"""The adversarial losses in closed form, and wrong captions that are really wrong."""

from math import log

import pytest
import torch

from arc_eval.losses.adversarial import (
    contrastive_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    mismatch,
    relativistic_loss,
)

LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_relativistic_loss_is_ln_2_at_a_tie() -> None:
    assert float(relativistic_loss(LOGITS, LOGITS)) == pytest.approx(log(2))


def test_relativistic_losses_of_both_players_differ_by_the_mean_margin() -> None:
    other = LOGITS.flip(0)
    difference = relativistic_loss(other, LOGITS + 2) - relativistic_loss(LOGITS + 2, other)
    assert float(difference) == pytest.approx(2, abs=1e-5)


def test_relativistic_loss_ignores_what_both_scores_share() -> None:
    assert float(relativistic_loss(LOGITS + 7, LOGITS.flip(0) + 7)) == pytest.approx(
        float(relativistic_loss(LOGITS, LOGITS.flip(0))), abs=1e-6
    )


def test_relativistic_loss_vanishes_for_a_clear_winner() -> None:
    assert float(relativistic_loss(LOGITS + 100, LOGITS)) < 1e-30


def test_unpaired_logits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[4, 3\] against \[3, 3\]"):
        relativistic_loss(LOGITS, LOGITS[:3])


def test_contrastive_loss_leaves_clips_without_a_wrong_caption_out() -> None:
    wrong = LOGITS.clone()
    wrong[1] += 50
    keep = torch.tensor([True, False, True, True])
    assert float(contrastive_loss(LOGITS, wrong, keep)) == pytest.approx(log(2))


def test_contrastive_loss_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="two different captions"):
        contrastive_loss(LOGITS, LOGITS, torch.zeros(4, dtype=torch.bool))


def test_least_squares_losses_are_zero_at_their_goals_and_one_at_the_opposite() -> None:
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    assert float(least_squares_discriminator_loss(ones, zeros)) == 0
    assert float(least_squares_discriminator_loss(zeros, ones)) == 2
    assert float(least_squares_generator_loss(ones)) == 0
    assert float(least_squares_generator_loss(zeros)) == 1


@pytest.mark.parametrize("count", range(2, 12))
def test_unlike_captions_are_permuted_without_a_fixed_point(count: int) -> None:
    captions = [f"caption {index}" for index in range(count)]
    found = mismatch(captions, torch.Generator().manual_seed(count))
    assert sorted(found.permutation.tolist()) == list(range(count))
    assert not (found.permutation == torch.arange(count)).any()
    assert found.differs.all()


def test_a_batch_of_two_exchanges_its_captions() -> None:
    assert mismatch(["a", "b"], torch.Generator().manual_seed(0)).permutation.tolist() == [1, 0]


def test_no_clip_meets_its_own_words_while_no_caption_fills_half_the_batch() -> None:
    captions = ["rain"] * 4 + ["wind"] * 2 + ["bell", "siren"]
    for seed in range(20):
        assert mismatch(captions, torch.Generator().manual_seed(seed)).differs.all()


def test_clips_that_must_meet_their_own_words_are_marked() -> None:
    captions = ["rain"] * 5 + ["wind"]
    found = mismatch(captions, torch.Generator().manual_seed(0))
    assert sorted(found.permutation.tolist()) == list(range(6))
    met = [captions[other] for other in found.permutation.tolist()]
    assert found.differs.tolist() == [a != b for a, b in zip(met, captions, strict=True)]
    assert int(found.differs.sum()) == 2


@pytest.mark.parametrize("captions", [["rain"], ["rain"] * 3])
def test_a_batch_with_one_caption_has_no_wrong_one(captions: list[str]) -> None:
    assert not mismatch(captions, torch.Generator().manual_seed(0)).differs.any()


def test_every_other_caption_can_be_met() -> None:
    captions = ["a", "b", "c", "d"]
    met = {int(mismatch(captions, torch.Generator().manual_seed(seed)).permutation[0]) for seed in range(40)}
    assert met == {1, 2, 3}


def test_the_captions_are_not_edited() -> None:
    captions = ["a", "b", "c", "b"]
    mismatch(captions, torch.Generator().manual_seed(0))
    assert captions == ["a", "b", "c", "b"]


def test_contrastive_loss_of_a_batch_is_that_of_its_parts_by_their_share_of_wrong_captions() -> None:
    wrong, differs = LOGITS.flip(0), torch.tensor([True, False, True, True])
    parts = [(slice(0, 2), 1 / 3), (slice(2, 4), 2 / 3)]
    summed = sum(share * contrastive_loss(LOGITS[at], wrong[at], differs[at]) for at, share in parts)
    assert float(summed) == pytest.approx(float(contrastive_loss(LOGITS, wrong, differs)))
