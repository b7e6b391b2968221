"""Published values stand beside ours and are never mixed with what was measured another way."""

import json

import pytest

from arc_eval.report.published import beside_published, publication
from arc_eval.report.source import entries, read_sources
from tests.run_folders import write_run

SYSTEMS = ("recordings", "reference-8", "distilled-8", "arc-8", "arc-4")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("p") / "run", audio=False, systems=SYSTEMS)
    return beside_published(publication("paper_table1"), entries(read_sources([run])))


def test_every_published_row_has_its_value_and_ours_stand_in_its_place(table):
    rows = {row.title: row for row in table.rows}
    assert [row.cells[0].text for row in table.rows][:3] == ["78.24", "143.21", "88.13"]
    assert rows["RF + ARC, 8 steps (arc-8)"].cells[0].text == "84.43"
    assert "Pre-trained RF, 50 steps" in rows and rows["recordings"].role == "ceiling"
    assert len(rows) == 10 + 1


def test_what_was_not_found_stays_a_question_mark(table):
    recall = [column.title for column in table.columns].index("R_passt")
    assert {row.cells[recall].text for row in table.rows} == {"?", ""}


def test_our_numbers_stand_in_a_block_that_says_they_do_not_compare(table):
    groups = dict(table.groups())
    assert groups == {"Published": 11, "Measured here, not comparable with the published values": 6}
    assert all("[tiny" not in column.title for column in table.columns[:11])


def test_a_metric_of_the_same_protocol_on_the_same_prompts_has_its_own_block(tmp_path):
    run = write_run(tmp_path / "run", audio=False, systems=SYSTEMS)
    text = (run / "run.json").read_text().replace("fd[tiny-clap]", "fd[openl3-env]")
    data = json.loads(text)
    data["suite"]["prompts"]["kind"] = "audiocaps"
    (run / "run.json").write_text(json.dumps(data))
    found = entries(read_sources([run]))
    groups = beside_published(publication("paper_table1"), found).groups()
    assert ("Measured here, same protocol", 1) in groups  # the speed was not measured on an H100

    data["suite"]["prompts"]["kind"] = "synthetic"
    (run / "run.json").write_text(json.dumps(data))
    groups = dict(beside_published(publication("paper_table1"), entries(read_sources([run]))).groups())
    assert "Measured here, same protocol" not in groups
