"""Names in a row, kept once: nothing can be told from the plain sequence."""

import pytest
import torch

from arc_eval.records.repeated import Repeated

EACH = ("a", "a", "b", "a", "c", "c", "c")


def test_it_is_the_sequence_that_it_stands_for() -> None:
    kept = Repeated.of(EACH)
    assert kept.names == ("a", "b", "a", "c")
    assert tuple(kept) == EACH and kept == EACH and len(kept) == len(EACH)
    assert [kept[place] for place in range(-7, 7)] == [EACH[place] for place in range(-7, 7)]
    assert kept[1:5] == EACH[1:5] and kept[::-1] == EACH[::-1]
    assert Repeated.of(kept) is kept and kept != EACH[:-1]
    assert hash(kept) == hash(Repeated.of(list(EACH)))
    with pytest.raises(IndexError):
        kept[7]


def test_what_has_no_row_is_left_out_and_nothing_at_all_is_empty() -> None:
    assert Repeated(("a", "b", "c"), (1, 0, 2)) == ("a", "c", "c")
    nothing = Repeated((), ())
    assert len(nothing) == 0 and tuple(nothing) == () and not len(nothing.each(len))
    with pytest.raises(ValueError):
        Repeated(("a",), ())


def test_a_name_is_asked_once_for_all_its_rows() -> None:
    asked: list[str] = []

    def number(name: str) -> int:
        asked.append(name)
        return ord(name)

    assert torch.equal(Repeated.of(EACH).each(number), torch.tensor(list(map(ord, EACH))))
    assert asked == ["a", "b", "a", "c"]
    assert Repeated.of(EACH).renamed(str.upper) == tuple("AABACCC")
