"""The page as a file: policy, escaping, sections, size."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from arc_eval import report
from tests.report.conftest import HOSTILE, REASON
from tests.run_folders import write_run


class Reader(HTMLParser):
    """Collects tags, texts of scripts and styles, and everything else as text."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self.styles, self.text, self._open = [], [], [], [], None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        {"script": self.scripts, "style": self.styles}.get(self._open, self.text).append(data)


@pytest.fixture(scope="module")
def page(written):
    reader = Reader()
    reader.feed((written / "report.html").read_text("utf-8"))
    return reader


def policy(page):
    return next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_pages_own_scripts_and_nothing_from_elsewhere(page):
    data, *scripts = ["".join(parts) for parts in _by_element(page)]
    assert json.loads(data).keys() == {"quality", "classes", "stages"}
    for script in scripts:
        assert digest(script) in policy(page)
    assert digest("".join(page.styles)) in policy(page)
    assert "default-src 'none'" in policy(page)
    assert "unsafe" not in policy(page) and "http" not in policy(page) and "*" not in policy(page)


def _by_element(page):
    assert len(page.scripts) == 3
    return [[script] for script in page.scripts]


def test_no_attribute_points_out_of_the_page(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:audio/ogg;base64,", "data:image/png;base64,")), (tag, name)
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes


def test_hostile_text_is_shown_and_never_becomes_markup(page, written):
    assert HOSTILE in page.text
    assert REASON in page.text
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert all(attributes.get("onerror") is None for _, attributes in page.tags)
    assert "<script>alert" not in (written / "report.html").read_text("utf-8")


def test_every_section_is_there_and_every_link_leads_to_one(page):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    sections = {"summary", "comparison", "quality", "classes", "stages", "prompts", "provenance", "reading"}
    assert sections | {"table-paper_table1"} <= ids
    assert all(a["href"][1:] in ids for tag, a in page.tags if tag == "a")


def test_provenance_is_complete(page):
    text = " ".join(page.text)
    for fact in (
        "5" * 64,
        "d" * 64,
        "abc123",
        "Test CPU",
        "soxr HQ",
        "f00d",
        "arc-eval run quickstart",
        "2.13.0",
    ):
        assert fact in text, fact


def test_each_prompt_has_a_player_and_a_picture_for_each_system(page):
    assert sum(tag == "audio" for tag, _ in page.tags) == sum(tag == "img" for tag, _ in page.tags) == 25


def test_the_page_stays_small(written):
    assert (written / "report.html").stat().st_size < 4_000_000


def test_a_run_without_clips_trials_or_scores_still_makes_a_page(tmp_path):
    run = write_run(tmp_path / "run", audio=False, prompts=1, systems=("recordings", "shuffled"))
    for table in ("clips", "scores", "trials"):
        (run / f"{table}.parquet").unlink()
    [path] = report.write([run], formats=["html"])
    text = path.read_text("utf-8")
    assert 'id="comparison"' in text and 'id="prompts"' not in text and not re.search(r'id="stages"', text)
