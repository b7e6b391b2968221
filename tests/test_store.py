"""An entry is there whole or not at all, and a damaged one is noticed."""

import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from arc_eval.errors import StoreError
from arc_eval.store import Store, default_root, digest_of, publish_bytes, source_digest

KEY = digest_of("a key")


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_digest(value: float):
    with pytest.raises(ValueError):
        digest_of({"a": value})


def test_json_is_read_back_as_it_was_written(tmp_path: Path):
    data = {"text": "ein Käfig", "numbers": [1, 2.5, None], "empty": {}}
    store = Store(tmp_path)
    assert store.read("things", KEY) is None
    store.write("things", KEY, data)
    assert store.read("things", KEY) == data


def test_tensors_are_read_back_to_the_bit(tmp_path: Path):
    tensors = {"rows": torch.randn(3, 4), "none": torch.zeros(0, 4), "counts": torch.tensor([1, 2])}
    Store(tmp_path).write_tensors("rows", KEY, tensors)
    found = Store(tmp_path).read_tensors("rows", KEY)
    assert found is not None
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_entry_is_reported_and_forgotten(tmp_path: Path, damage: str, suffix: str, caplog):
    store = Store(tmp_path)
    store.write("kind", KEY, {"value": 12345})
    store.write_tensors("kind", KEY, {"rows": torch.arange(100.0)})
    path = store.path("kind", KEY, suffix)
    content = bytearray(path.read_bytes())
    content[-20 if suffix == ".safetensors" else content.index(b"12345")] ^= 1
    path.write_bytes(
        {"cut": path.read_bytes()[:-7], "flip": bytes(content), "empty": b"", "other": b"[1, 2]"}[damage]
    )
    assert (store.read("kind", KEY) if suffix == ".json" else store.read_tensors("kind", KEY)) is None
    assert str(path) in caplog.text
    assert not path.exists()


def test_writers_of_one_key_do_not_disturb_each_other(tmp_path: Path):
    store = Store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.write("kind", KEY, {"value": list(range(1000))}), range(64)))
    assert store.read("kind", KEY) == {"value": list(range(1000))}
    assert [path.name for path in store.path("kind", KEY, ".json").parent.iterdir()] == [f"{KEY}.json"]


def test_a_disk_that_refuses_keeps_what_was_there(tmp_path: Path):
    path = tmp_path / "file"
    publish_bytes(path, b"before")
    # A limit on file size refuses a write as a full disk does: in the middle of it.
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    deaf = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(StoreError, match="What was finished is kept") as caught:
            publish_bytes(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, deaf)
    assert caught.value.exit_code == 3
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="ARC_EVAL_CACHE"):
        Store(tmp_path / "file").write("kind", KEY, 1)


def test_the_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ARC_EVAL_CACHE", raising=False)
    assert default_root() == tmp_path / "arc_eval"
    monkeypatch.setenv("ARC_EVAL_CACHE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine"


def test_other_code_has_another_digest():
    assert source_digest("arc_eval.flow") != source_digest("arc_eval.seeding")
    assert source_digest("arc_eval.samplers", "arc_eval.flow") == source_digest(
        "arc_eval.flow", "arc_eval.samplers"
    )
