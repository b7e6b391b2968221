"""The comparison table: which value is marked, what stands where there is none, what shares a column."""

import dataclasses

import pytest

from arc_eval.errors import RunError
from arc_eval.records.measurement import Counts, Interval, Measurement
from arc_eval.report.comparison import comparison
from arc_eval.report.numbers import Scale, fitting_scale, interval_text, value_text
from arc_eval.report.source import entries, read_sources
from tests.run_folders import FINGERPRINTS, MACHINE, write_run


def table_of(*runs):
    return comparison(entries(read_sources(runs)))


def cells(table, title):
    index = [column.title for column in table.columns].index(title)
    return {row.title: row.cells[index] for row in table.rows}


def test_the_best_generator_is_marked_and_controls_do_not_compete(tmp_path):
    table = table_of(write_run(tmp_path / "run", audio=False))
    for title in ("fd[tiny-clap]", "clap[tiny-clap]"):
        marked = [system for system, cell in cells(table, title).items() if cell.best]
        assert marked == ["arc-8"], "the recordings are better and must not be marked"
    assert [system for system, cell in cells(table, "latency_p50").items() if cell.best] == ["arc-4"]


def test_nearest_to_the_recordings_is_best_where_there_is_a_target(tmp_path):
    table = table_of(write_run(tmp_path / "run", audio=False))
    assert [system for system, cell in cells(table, "level[health]").items() if cell.best] == ["arc-8"]


def test_nobody_is_best_when_all_are_equal(tmp_path):
    table = table_of(write_run(tmp_path / "run", audio=False))
    assert not any(cell.best for cell in cells(table, "peak_memory").values())


def test_a_failure_and_an_absence_keep_their_reasons(tmp_path):
    run = write_run(tmp_path / "run", audio=False, failures={("arc-8", "fd[tiny-clap]"): "too few clips"})
    table = table_of(run)
    assert cells(table, "fd[tiny-clap]")["arc-8"].full == "failed: too few clips"
    assert cells(table, "latency_p50")["recordings"].full == "n/a (not a model)"


def test_counts_and_missing_intervals_are_told(tmp_path):
    notes = "\n".join(table_of(write_run(tmp_path / "run", audio=False)).denominators())
    assert "Scored/generated/planned: 16/16/16; 8/8/8 (latency_p50" in notes
    assert "too few prompts for an interval (level[health])" in notes


def test_runs_that_agree_share_columns_and_their_systems_are_told_apart(tmp_path):
    table = table_of(write_run(tmp_path / "a", audio=False), write_run(tmp_path / "b", audio=False, seed=1))
    assert [row.title for row in table.rows][:2] == ["a/recordings", "a/shuffled"]
    assert [column.title for column in table.columns].count("fd[tiny-clap]") == 1


def test_another_fingerprint_has_a_column_of_its_own_and_a_note(tmp_path):
    changed = {**FINGERPRINTS, "tiny-clap": {**FINGERPRINTS["tiny-clap"], "resampler": "linear"}}
    first = write_run(tmp_path / "a", audio=False)
    table = table_of(first, write_run(tmp_path / "b", audio=False, fingerprints=changed))
    assert cells(table, "fd[tiny-clap] (2)")["a/arc-8"].full == "n/a (measured another way)"
    assert (
        cells(table, "fd[tiny-clap] (1)")["a/arc-8"].best
        and cells(table, "fd[tiny-clap] (2)")["b/arc-8"].best
    )
    assert any("tiny-clap.resampler: soxr HQ in (1), linear in (2)" in note for note in table.notes)
    assert [column.title for column in table.columns].count("kl[tiny-tagger]") == 1


def test_times_of_two_machines_stand_apart_and_quality_does_not(tmp_path):
    other = dataclasses.replace(MACHINE, cpu="Another CPU")
    titles = [
        column.title
        for column in table_of(
            write_run(tmp_path / "a", audio=False), write_run(tmp_path / "b", audio=False, machine=other)
        ).columns
    ]
    assert "latency_p50 (1)" in titles and "latency_p50 (2)" in titles and "fd[tiny-clap]" in titles


def test_nothing_to_report_is_refused():
    with pytest.raises(RunError, match="at least one folder"):
        read_sources([])


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (41.26, 1.5, "41.3 [39.8, 42.8]"),
        (0.123456, 0.0034, "0.1235 [0.1201, 0.1269]"),
        (1234.5, 120, "1234 [1114, 1354]"),
        (-0.00001, 0.5, "0.00 [-0.50, 0.50]"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_bears(value, half, expected):
    interval = Interval(value - half, value + half, 0.95, "")
    measured = Measurement("m", value, "", "none", Counts(1, 1, 1), interval)
    assert f"{value_text(measured, Scale(1, ''))} {interval_text(measured, Scale(1, ''))}" == expected


def test_short_times_are_shown_in_milliseconds_and_bytes_in_megabytes():
    assert fitting_scale("s", [0.02, 0.4]) == Scale(1e3, "ms")
    assert fitting_scale("s", [0.02, 1.4]) == Scale(1.0, "s")
    assert fitting_scale("bytes", [4e8]) == Scale(1e-6, "MB")
