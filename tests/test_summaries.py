"""The file that stands for recordings: what is written is read again, and nothing else is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from arc_eval.data.statistics import Settings
from arc_eval.errors import AudioError, DataError, NotComparableError
from arc_eval.records.embedding import Embedding
from arc_eval.records.missing import Missing
from arc_eval.records.summary import Moments, Summary
from arc_eval.summaries import Summaries, read_summaries, write_summaries


def content() -> Summaries:
    stream = torch.Generator().manual_seed(0)
    rows = torch.randn(20, 3, generator=stream, dtype=torch.float64)
    ear = {"checkpoint": "c1ab", "resampler": "soxr"}
    labels = Embedding(torch.randn(2, 4, generator=stream), ("a#0", "ü#1"), ear)
    return Summaries(
        identity={"kind": "folder", "recordings": "abc"},
        by_extractor={
            "tagger": Summary("tiny-tagger", ear, Moments(rows.mean(0), rows.T.cov(), 20, 2), labels),
            "mel": Summary("mel", {"checkpoint": "2"}, Moments(rows[0], torch.eye(3).double(), 0, 0)),
            "names": Summary("passt", ear, None, labels, "prompt"),
        },
        missing=Missing("lost.txt", ("b",), 3, 5),
        remarks=("made for a test",),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_summaries(tmp_path / "kept.safetensors", content())
    return tmp_path / "kept.safetensors"


def plain(summary: Summary) -> list[Any]:
    moments, labels = summary.moments, summary.labels
    return [
        summary.kind,
        summary.fingerprint,
        summary.named_by,
        moments and [moments.mean.tolist(), moments.covariance.tolist(), moments.rows, moments.clips],
        labels and [labels.values.tolist(), labels.owners, labels.fingerprint],
    ]


def test_what_is_written_is_read_again(file: Path):
    found, written = read_summaries(file), content()
    assert (found.identity, found.missing, found.remarks) == (
        written.identity,
        written.missing,
        written.remarks,
    )
    assert {name: plain(one) for name, one in found.by_extractor.items()} == {
        name: plain(one) for name, one in written.by_extractor.items()
    }


def test_equal_contents_are_equal_files(file: Path, tmp_path: Path):
    write_summaries(tmp_path / "again.safetensors", content())
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_it_is_a_data_source_without_audio(file: Path):
    source = Settings(path=file).build()
    assert (source.takes(), list(source.prompts()), source.identity()) == (0, [], content().identity)
    assert source.missing() == content().missing
    with pytest.raises(AudioError, match="not the recordings"):
        source.audio("a")


def test_an_extractor_is_found_by_kind_and_fingerprint(file: Path):
    source = Settings(path=file).build()
    ear = {"checkpoint": "c1ab", "resampler": "soxr"}
    found = source.summary("another name", "tiny-tagger", ear)
    assert found is not None and found.labels is not None and found.labels.owners == ("a#0", "ü#1")
    assert source.summary("tagger", "clap", ear) is None
    with pytest.raises(NotComparableError, match=r"resampler: 'soxr' there, 'resampy' here$"):
        source.summary("tagger", "tiny-tagger", {**ear, "resampler": "resampy"})
    with pytest.raises(NotComparableError, match=r"precision: 'absent' there, 'bfloat16' here$"):
        source.summary("tagger", "tiny-tagger", {**ear, "precision": "bfloat16"})


def test_other_files_are_refused(file: Path, tmp_path: Path):
    other = tmp_path / "other.safetensors"
    with pytest.raises(DataError, match="cannot be read as statistics"):
        read_summaries(tmp_path / "absent.safetensors")
    other.write_bytes(b"PK\x03\x04 this is no safetensors file")
    with pytest.raises(DataError, match="cannot be read as statistics"):
        read_summaries(other)
    save_file(load_file(file), other)
    with pytest.raises(DataError, match="not a file that `arc-eval reference`"):
        read_summaries(other)
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    other.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged"):
        read_summaries(other)


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        (Moments(torch.zeros(3).double(), torch.eye(2).double(), 5, 5), "do not fit"),
        (Moments(torch.zeros(2), torch.eye(2), 5, 5), "must be float64"),
        (Moments(torch.zeros(2).double(), torch.full((2, 2), torch.nan).double(), 5, 5), "not finite"),
        (Moments(torch.zeros(2).double(), torch.tensor([[1, 2], [0, 1.0]]).double(), 5, 5), "not symmetric"),
        (Moments(torch.zeros(2).double(), -torch.eye(2).double(), 5, 5), "negative variance"),
    ],
)
def test_moments_that_are_none_are_refused(tmp_path: Path, moments: Moments, said: str):
    wrong = replace(content(), by_extractor={"mel": Summary("mel", {}, moments)})
    write_summaries(tmp_path / "wrong.safetensors", wrong)
    with pytest.raises(DataError, match=said):
        read_summaries(tmp_path / "wrong.safetensors")
