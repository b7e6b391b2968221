"""The floor gives every prompt somebody else's recordings, and none that would fit by chance."""

import pytest

from arc_eval.errors import DataError
from arc_eval.pipeline.controls import exchanged
from arc_eval.records.prompt import Prompt


def prompts(*tags: str) -> list[Prompt]:
    return [Prompt(f"p{i}", f"sound {i}", 1.0, tuple(tag.split())) for i, tag in enumerate(tags)]


@pytest.mark.parametrize("seed", range(5))
def test_everybody_gets_one_and_nobody_their_own_kind(seed: int):
    made = prompts("kick", "kick", "kick snare", "rain", "rain", "bird", "snare", "bell rain")
    stand_ins = exchanged(made, seed)
    assert sorted(stand_ins) == sorted(stand_ins.values()) == [prompt.id for prompt in made]
    by_id = {prompt.id: prompt for prompt in made}
    assert all(not set(by_id[a].tags) & set(by_id[b].tags) for a, b in stand_ins.items())


@pytest.mark.parametrize("count", [2, 3, 7])
def test_where_all_share_a_tag_nobody_keeps_their_own(count: int):
    stand_ins = exchanged(prompts(*["kick"] * count), seed=0)
    assert sorted(stand_ins) == sorted(stand_ins.values())
    assert all(a != b for a, b in stand_ins.items())


def test_where_most_share_a_tag_as_many_as_possible_are_foreign():
    made = prompts("kick", "kick", "kick", "rain")
    stand_ins = exchanged(made, seed=0)
    assert all(a != b for a, b in stand_ins.items())
    by_id = {prompt.id: prompt for prompt in made}
    assert sum(not set(by_id[a].tags) & set(by_id[b].tags) for a, b in stand_ins.items()) == 2


def test_the_exchange_is_decided_by_the_seed():
    made = prompts(*"abcdefgh")
    assert exchanged(made, 1) == exchanged(made, 1)
    assert exchanged(made, 1) != exchanged(made, 2)


def test_one_prompt_cannot_be_exchanged():
    with pytest.raises(DataError, match="there is 1"):
        exchanged(prompts("kick"), 0)
