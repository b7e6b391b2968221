"""Tables of embeddings: the same numbers in memory and on disk."""

from pathlib import Path

import pytest
import torch

from arc_eval.errors import StoreError
from arc_eval.pipeline import gathered
from arc_eval.pipeline.gathered import Gathered

PARTS = [torch.arange(12.0).view(4, 3), torch.zeros(0, 0), 7 + torch.arange(3.0).view(1, 3), torch.ones(2, 3)]


@pytest.mark.parametrize("in_memory", [0, 50, 10**6])
def test_a_table_is_its_parts_in_order_wherever_it_lies(
    in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "IN_MEMORY", in_memory)
    rows = Gathered(tmp_path / "store")
    for part in PARTS:
        rows.add(part)
    table = rows.table()
    assert torch.equal(table, torch.cat([part for part in PARTS if len(part)]))
    table[0] = 5  # a copy of one's own, on disk too
    assert not list((tmp_path / "store").glob("*")) if in_memory < 100 else not (tmp_path / "store").exists()


def test_nothing_makes_an_empty_table(tmp_path: Path) -> None:
    assert Gathered(tmp_path).table().shape == (0, 0)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "IN_MEMORY", 0)
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="store"):
        Gathered(tmp_path / "store").add(torch.ones(1, 2))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_said_when_a_table_is_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "IN_MEMORY", 0)
    monkeypatch.setattr(gathered, "TemporaryFile", lambda dir: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(StoreError, match="No space left"):
        Gathered(tmp_path).add(torch.ones(2, 3))
