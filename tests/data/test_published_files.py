"""Statistics as stable-audio-metrics publishes them are read, and what a file might do is never done."""

import collections
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from arc_eval.data.published_npz import read_moments
from arc_eval.data.published_pickle import read_probabilities
from arc_eval.errors import DataError

CLASSES = 527


def probabilities(count: int, classes: int = CLASSES) -> torch.Tensor:
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(0)).softmax(1)


def pickled(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("keys", [range(859, 2059), [f"-id{n}" for n in range(1200)]], ids=["int", "str"])
def test_a_real_pickle_of_tensors_is_read(tmp_path: Path, protocol: int, keys: Any):
    """More than a thousand, which pickle writes in batches; each with storage of its own, as published."""
    rows = probabilities(1200)
    path = pickled(
        tmp_path / "p.pkl", {key: row.clone() for key, row in zip(keys, rows, strict=True)}, protocol
    )
    found = read_probabilities(path)
    assert list(found) == [str(key) for key in keys]
    assert torch.equal(torch.stack(list(found.values())), rows)


def test_captions_of_one_song_may_share_a_tensor_and_a_tensor_a_storage(tmp_path: Path):
    rows = probabilities(3)
    path = pickled(tmp_path / "p.pkl", {1: rows[0].clone(), 2: rows[1], 3: rows[2], 4: rows[2]})
    found = read_probabilities(path)
    assert torch.equal(torch.stack(list(found.values())), rows[[0, 1, 2, 2]])


def test_the_stream_is_the_one_that_is_published(tmp_path: Path):
    """Each storage is 2350 or 2352 bytes in the published files."""
    one = probabilities(1)[0].clone()
    buffer = io.BytesIO()
    torch.save(one.untyped_storage(), buffer, _use_new_zipfile_serialization=False)
    text = pickle.dumps({859: one}, protocol=4)
    assert b"_load_from_bytes" in text and b"_rebuild_tensor_v2" in text and b"FloatStorage" in text
    assert torch.equal(read_probabilities(pickled(tmp_path / "p.pkl", {859: one}))["859"], one)


class Runs:
    """A pickle of this makes a file where it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def hostile(target: Path) -> dict[str, bytes]:
    """Pickles that run something, by how they hide it; and the harmless one that they are made of."""
    tensor = probabilities(1)[0].clone()
    good = pickle.dumps({1: tensor}, protocol=4)
    inner = io.BytesIO()
    torch.save(Runs(target), inner, _use_new_zipfile_serialization=False)
    system = b"cposix\nsystem\n(S'touch " + str(target).encode() + b"'\ntR."
    return {
        "as a value": pickle.dumps({1: tensor, 2: Runs(target)}, protocol=4),
        "as a key": pickle.dumps({(Runs(target),): tensor}, protocol=4),
        "alone": pickle.dumps(Runs(target), protocol=4),
        "of protocol 0": system,
        "in a storage": good.replace(b"\x80\x02\x8a\x0al\xfc\x9cF", b"\x80\x02\x8a\x0al\xfc\x9cG"),
        "in an inner pickle": _with_storage(inner.getvalue()),
        "behind the end": good[:-1] + b"0" + system,
    }


def _with_storage(stream: bytes) -> bytes:
    """What a tensor is pickled as, its numbers replaced by another stream."""

    class Tensor:
        def __reduce__(self) -> Any:
            return (
                torch._utils._rebuild_tensor_v2,
                (Storage(), 0, (2,), (1,), False, collections.OrderedDict()),
            )

    class Storage:
        def __reduce__(self) -> Any:
            return (torch.storage._load_from_bytes, (stream,))

    return pickle.dumps({1: Tensor()}, protocol=4)


@pytest.mark.parametrize("way", list(hostile(Path("x"))))
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path, way: str):
    target = tmp_path / "it ran"
    (tmp_path / "p.pkl").write_bytes(hostile(target)[way])
    with pytest.raises(DataError):
        read_probabilities(tmp_path / "p.pkl")
    assert not target.exists()


def test_the_hostile_pickle_would_have_run(tmp_path: Path):
    target = tmp_path / "it ran"
    pickle.loads(hostile(target)["as a value"])
    assert target.exists()


def test_what_a_file_asks_for_is_named(tmp_path: Path):
    (tmp_path / "p.pkl").write_bytes(hostile(tmp_path / "it ran")["as a value"])
    with pytest.raises(
        DataError, match=r"it asks for pathlib\.Path.*, which no tensor needs; it was not run"
    ):
        read_probabilities(tmp_path / "p.pkl")


OTHERS: dict[str, tuple[Any, str]] = {
    "a list": ([1, 2], "EMPTY_LIST has no place"),
    "an empty dict": ({}, "a dict of ids to tensors is needed"),
    "numbers": ({1: 0.5}, "BINFLOAT has no place"),
    "texts": ({1: "x"}, "str where a tensor should be"),
    "a matrix": ({1: probabilities(2)}, "where a vector should be"),
    "doubles": ({1: probabilities(1)[0].double()}, "it asks for torch.DoubleStorage"),
    "logits": ({1: probabilities(1)[0] - 1}, "1 vectors are not probabilities: 1"),
    "NaN": ({1: torch.full((4,), torch.nan)}, "not probabilities"),
    "other lengths": ({1: torch.ones(1), 2: torch.ones(2) / 2}, "the same number of classes"),
    "one id twice": ({1: torch.ones(1), "1": torch.ones(1)}, "ids must differ"),
}


@pytest.mark.parametrize(("content", "said"), OTHERS.values(), ids=list(OTHERS))
def test_other_pickles_are_refused(tmp_path: Path, content: Any, said: str):
    with pytest.raises(DataError, match=said):
        read_probabilities(pickled(tmp_path / "p.pkl", content))


def test_a_pickle_that_is_cut_anywhere_is_refused(tmp_path: Path):
    whole = pickle.dumps({1: probabilities(1, 4)[0].clone()}, protocol=4)
    for length in range(0, len(whole), 7):
        (tmp_path / "p.pkl").write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_probabilities(tmp_path / "p.pkl")
    with pytest.raises(DataError, match="cannot be read"):
        read_probabilities(tmp_path / "absent.pkl")


def test_a_published_npz_is_read(tmp_path: Path):
    rows = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    np.savez(tmp_path / "r.npz", mu_ref=rows.mean(0), sigma_ref=np.cov(rows, rowvar=False))
    found = read_moments(tmp_path / "r.npz")
    assert (found.rows, found.clips, found.mean.dtype) == (0, 0, torch.float64)
    assert np.array_equal(found.mean.numpy(), rows.mean(0).astype(np.float64))
    assert np.allclose(found.covariance.numpy(), np.cov(rows, rowvar=False), rtol=0, atol=1e-15)


def test_an_npz_of_pickled_objects_is_refused_and_does_nothing(tmp_path: Path):
    target = tmp_path / "it ran"
    np.savez(tmp_path / "r.npz", mu_ref=np.array([Runs(target)], dtype=object), sigma_ref=np.eye(1))
    with pytest.raises(DataError, match="allow_pickle=False"):
        read_moments(tmp_path / "r.npz")
    assert not target.exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mu": np.zeros(2)}, "mu_ref"),
        ({"mu_ref": np.zeros(2), "sigma_ref": np.eye(3)}, "do not fit"),
        ({"mu_ref": np.full(2, np.nan), "sigma_ref": np.eye(2)}, "not finite"),
        ({"mu_ref": np.zeros(2), "sigma_ref": np.array([[1, 5], [0, 1.0]])}, "not symmetric"),
        ({"mu_ref": np.array(["a"]), "sigma_ref": np.eye(1)}, "could not convert"),
    ],
)
def test_other_npz_files_are_refused(tmp_path: Path, arrays: dict[str, Any], said: str):
    np.savez(tmp_path / "r.npz", **arrays)
    with pytest.raises(DataError, match=said):
        read_moments(tmp_path / "r.npz")


def test_what_is_no_npz_is_refused(tmp_path: Path):
    (tmp_path / "r.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError):
        read_moments(tmp_path / "r.npz")
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        archive.writestr("mu_ref.npy", b"\x93NUMPY broken")
    with pytest.raises(DataError):
        read_moments(tmp_path / "r.npz")
    np.save(tmp_path / "r.npy", np.zeros(3))
    with pytest.raises(DataError):
        read_moments(tmp_path / "r.npy")
