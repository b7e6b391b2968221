"""Packs of embeddings: what is there is not computed again, and what was damaged is."""

import logging
from pathlib import Path

import pytest
import torch

import arc_eval
from arc_eval import registry
from arc_eval.contracts import silent
from arc_eval.pipeline import extract
from arc_eval.pipeline.extract import KIND, Described, describe
from arc_eval.pipeline.items import reference_items
from arc_eval.pipeline.pool import Pool
from arc_eval.store import Store, source_digest
from arc_eval.suite import Part

SOURCE = {"kind": "synthetic", "split": "reference", "count": 5, "takes": 1}


def part(group: str, data: dict[str, object]) -> Part:
    return Part(kind=str(data["kind"]), settings=registry.settings(group, data, "test"))


def described(store: Store, *extractors: str) -> dict[str, Described]:
    source = part("data", SOURCE)
    items = reference_items(source, source.build())
    parts = {name: part("extractors", {"kind": name}) for name in extractors}
    with Pool(1) as pool:
        return describe(parts, items, store, pool, silent, "")


@pytest.fixture
def packs_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "PACK", 2)


@pytest.mark.usefixtures("packs_of_two")
def test_a_damaged_pack_is_made_again_and_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    first = described(store, "mel", "health")
    packs = sorted(store.root.glob(f"{KIND}/*/*.safetensors"))
    assert len(packs) == 2 * 3
    written = {path: path.stat().st_mtime_ns for path in packs}
    packs[0].write_bytes(packs[0].read_bytes()[:-8])
    with caplog.at_level(logging.WARNING):
        again = described(store, "mel", "health")
    assert "damaged" in caplog.text
    assert [path for path in packs if path.stat().st_mtime_ns != written[path]] == [packs[0]]
    for name, found in first.items():
        assert torch.equal(again[name].rows.values, found.rows.values)
        assert again[name].rows.owners == found.rows.owners and again[name].digest == found.digest


@pytest.mark.usefixtures("packs_of_two")
def test_an_extractor_that_comes_later_leaves_what_others_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    alone = described(store, "mel")["mel"]
    written = {path: path.stat().st_mtime_ns for path in store.root.glob(f"{KIND}/*/*.safetensors")}
    both = described(store, "health", "mel")
    assert torch.equal(both["mel"].rows.values, alone.rows.values) and both["mel"].digest == alone.digest
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())
    assert len(both["health"].rows) == 5


@pytest.mark.parametrize("module", ["pipeline/hearing.py", "dsp.py", "models/precision.py"])
def test_rows_that_other_code_has_read_are_not_taken_for_these(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and resampling are the pipeline's, whatever the extractor imports."""
    before = described(Store(tmp_path), "health")["health"]
    read = Path.read_bytes
    edited = Path(arc_eval.__file__).parent / module
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == edited))
        source_digest.cache_clear()
        after = described(Store(tmp_path), "health")["health"]
    source_digest.cache_clear()
    assert after.digest != before.digest
