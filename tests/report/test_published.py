"""Published values stand beside ours and are never mixed with what was measured another way."""

import json

import pytest

from arc_eval.report.published import beside_published, publication
from arc_eval.report.source import entries, read_sources
from arc_eval.suite import load_suite
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
    text = (run / "run.json").read_text().replace("fd[tiny-clap]", "fd[openl3@stable-audio-metrics]")
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


PLACES = {
    "Pre-trained RF, 50 steps (reference-50)",
    "Pre-trained RF, 8 steps (reference-8)",
    "RF + Presto, 8 steps (distilled-8)",
    "RF + ARC, 8 steps (arc-8)",
    "RF + ARC, 8 steps (arc-seed-1-8)",
    "RF + ARC, 8 steps (arc-seed-2-8)",
    "RF + ARC, 4 steps (arc-4)",
    "RF + ARC, 1 step (arc-1)",
    "ARC without L_C (L_R only), 8 steps (arc-no-contrastive-8)",
    "L_LS + L_C (least squares instead of L_R), 8 steps (arc-least-squares-8)",
}


@pytest.mark.parametrize("trained", [False, True])
def test_every_row_of_the_ablations_stands_in_its_place_in_the_paper(tmp_path, trained):
    """The package's own weights, or those of trainings, each of which lies in a folder `model`."""
    run = write_run(tmp_path / "run", audio=False, systems=("recordings", "reference-8"))
    data = json.loads((run / "run.json").read_text())
    recordings, generator = data["systems"]
    made = {name: settings.data() for name, settings in load_suite("ablations").generators.items()}
    for settings in made.values():
        if trained and settings["weights"].startswith("tiny/"):
            settings["weights"] = f"training-runs/{settings['weights'].removeprefix('tiny/')}/model"
    systems = [{**generator, "name": name, "settings": settings} for name, settings in made.items()]
    (run / "run.json").write_text(json.dumps({**data, "systems": [recordings, *systems]}))
    found = entries(read_sources([run]))
    table = beside_published(publication("paper_table1"), found)
    assert {row.title for row in table.rows if row.title.endswith(")")} == PLACES
    assert [row.title for row in table.rows if not row.cells[0].text] == ["recordings"]
    assert len({entry.family for entry in found}) == len({s["weights"] for s in made.values()}) + 1
