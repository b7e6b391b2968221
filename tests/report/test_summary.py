"""The sentences at the top: what is best and how surely, whether the order makes sense, what was lost."""

import pytest

from arc_eval.report.comparison import measured_columns
from arc_eval.report.source import entries, read_sources
from arc_eval.report.summary import sentences
from tests.run_folders import write_run


def said(run):
    found = entries(read_sources([run]))
    return [(sentence.tone, sentence.text) for sentence in sentences(found, measured_columns(found))]


def test_the_best_is_named_with_its_number_and_its_doubt(tmp_path):
    first = said(write_run(tmp_path / "run", audio=False))[0]
    assert first == (
        "finding",
        "Closest to the recordings: arc-8, fd[tiny-clap] 23.0 [21.5, 24.5] (best of 3 generators).",
    )
    close = said(write_run(tmp_path / "close", audio=False, gain={"arc-4": 0.05}))[0][1]
    assert close.endswith("(best of 3 generators; its interval overlaps that of arc-4).")


def test_an_order_that_makes_sense_is_said_to(tmp_path):
    good = [
        text for tone, text in said(write_run(tmp_path / "run", audio=False, prompts=40)) if tone == "good"
    ]
    assert good[0].startswith("recordings (ceiling) beats every generator on fd[tiny-clap]")
    assert good[1].startswith("shuffled (floor) is beaten by every generator on kl[tiny-tagger]")
    assert "fd" not in good[1], "the floor is real sound under wrong captions"


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ({"arc-8": 0.3}, "recordings (ceiling) does not beat arc-8 on fd[tiny-clap]"),
        ({"arc-4": -0.8}, "shuffled (floor) is not beaten by arc-4 on kl[tiny-tagger]"),
    ],
)
def test_an_order_that_makes_no_sense_is_shown(tmp_path, gain, expected):
    bad = [text for tone, text in said(write_run(tmp_path / "run", audio=False, gain=gain)) if tone == "bad"]
    assert bad and bad[0].startswith(expected)


def test_failures_are_told(tmp_path):
    run = write_run(tmp_path / "run", audio=False, failures={("arc-4", "fd[tiny-clap]"): "too few clips"})
    assert ("bad", "arc-4: fd[tiny-clap] failed: too few clips") in said(run)
