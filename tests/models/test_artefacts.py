"""The catalogue of official artefacts, and whether a cached file is what it says."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from arc_eval.errors import CheckpointError
from arc_eval.models.artefacts import File, artefact, catalogue
from arc_eval.models.integrity import check

WHOLE = save({"weight": np.arange(1000, dtype=np.float32)})


def flipped(content: bytes) -> bytes:
    """With the last byte's lowest bit turned over."""
    return content[:-1] + bytes([content[-1] ^ 1])


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def in_cache(folder: Path, name: str, content: bytes, announced: str) -> Path:
    """A file as the hub's cache holds it: a link to its content, which is named by its digest."""
    blob = written(folder / "blobs" / announced, content)
    link = folder / "snapshots" / "commit" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("../..") / "blobs" / blob.name)
    return link


def known(content: bytes) -> File:
    return File(name="model.safetensors", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", catalogue())
def test_every_artefact_says_where_it_comes_from_and_under_which_licence(name: str):
    entry = artefact(name)
    assert entry.release or (entry.repo.count("/") == 1 and entry.page.endswith(entry.repo))
    assert entry.page.startswith("https://")
    assert entry.licence.name and entry.licence.url.startswith("https://")
    assert all(known in catalogue() for known in entry.needs)


def test_what_a_pipeline_knows_of_its_files_is_among_its_patterns():
    for entry in catalogue().values():
        if entry.patterns:
            bare = entry.model_copy(update={"files": ()})
            assert all(bare.has(file.name) for file in entry.files)


def test_the_size_of_the_small_models_weights_fits_its_parameters():
    """Diffusion transformer and seconds embedder in float32, autoencoder in float16, and a header."""
    size = artefact("stable-audio-open-small").file("model.safetensors").bytes
    assert size is not None
    assert 0 < size - (341_126_912 * 4 + 156_112_514 * 2) < 200_000


def test_the_size_of_open_1_fits_its_parameters():
    size = artefact("stable-audio-open-1.0").file("model.safetensors").bytes
    assert size is not None
    assert 0 < size - (1_057_335_680 + 156_112_514) * 4 < 200_000


def test_a_misspelt_artefact_is_refused_with_the_near_miss():
    with pytest.raises(CheckpointError, match="did you mean 't5-base'"):
        artefact("t5-bse")


def test_a_whole_file_is_as_in_the_catalogue(tmp_path: Path):
    seen = check(written(tmp_path / "model.safetensors", WHOLE), known(WHOLE))
    assert (seen.problem, seen.against, seen.bytes) == ("", "catalogue", len(WHOLE))


def test_a_flipped_byte_is_noticed(tmp_path: Path):
    seen = check(written(tmp_path / "model.safetensors", flipped(WHOLE)), known(WHOLE))
    assert "not what the catalogue says" in seen.problem


def test_a_truncated_file_is_noticed_by_its_size(tmp_path: Path):
    seen = check(written(tmp_path / "model.safetensors", WHOLE[:-1]), known(WHOLE))
    assert seen.problem.startswith("truncated")


def test_a_truncated_file_of_unknown_size_is_noticed_by_its_header(tmp_path: Path):
    path = written(tmp_path / "model.safetensors", WHOLE[:-1])
    assert "no whole safetensors file" in check(path, File(name=path.name)).problem


def test_without_a_known_digest_the_hub_is_believed(tmp_path: Path):
    announced = hashlib.sha256(WHOLE).hexdigest()
    whole = check(in_cache(tmp_path / "a", "model.bin", WHOLE, announced), File(name="model.bin"))
    assert (whole.problem, whole.against) == ("", "hub")
    broken = check(in_cache(tmp_path / "b", "model.bin", flipped(WHOLE), announced), File(name="model.bin"))
    assert "not what the hub says" in broken.problem


def test_small_files_are_known_to_the_hub_as_git_knows_them(tmp_path: Path):
    # `printf '{}' | git hash-object --stdin`
    announced = "9e26dfeeb6e641a33dae4961196235bdb965b21b"
    assert not check(in_cache(tmp_path / "a", "config.json", b"{}", announced), File(name="c")).problem
    assert check(in_cache(tmp_path / "b", "config.json", b"[]", announced), File(name="c")).problem


def test_what_nobody_knows_is_present_with_the_digest_seen(tmp_path: Path):
    seen = check(written(tmp_path / "model.ckpt", b"weights"), File(name="model.ckpt"))
    assert (seen.problem, seen.against) == ("", "nothing")
    assert seen.sha256 == hashlib.sha256(b"weights").hexdigest()
