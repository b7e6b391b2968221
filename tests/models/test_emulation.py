"""bfloat16 on a CPU that must emulate it is said once, and only there."""

import logging
from collections.abc import Iterator

import pytest

from arc_eval.models import emulation


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """As in a process that has said nothing yet."""
    emulation._warn.cache_clear()
    yield
    emulation._warn.cache_clear()


@pytest.mark.parametrize(
    ("own", "precision", "device", "notices"),
    [
        (False, "bfloat16", "cpu", 1),
        (True, "bfloat16", "cpu", 0),
        (False, "float32", "cpu", 0),
        (False, "bfloat16", "meta", 0),
    ],
)
def test_emulation_is_said_once_where_it_happens(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    own: bool,
    precision: str,
    device: str,
    notices: int,
) -> None:
    monkeypatch.setattr(emulation, "native", lambda: own)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            emulation.notice(device, "float16", precision)
    assert [record.getMessage().count("bfloat16") for record in caplog.records] == [1] * notices


def test_the_probe_answers_on_this_machine() -> None:
    assert emulation.native() in (True, False)
