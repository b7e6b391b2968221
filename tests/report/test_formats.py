"""Markdown, CSV and LaTeX: same bytes again, nothing of the input can act, nothing is lost."""

import csv
import io
import re
import shutil
import subprocess

import pytest

from arc_eval import escape, report
from arc_eval.errors import RunError, SuiteError
from arc_eval.records.run import Run
from arc_eval.report import markdown
from arc_eval.report.tables import Column, Row, Table, absent
from tests.report.conftest import HOSTILE, REASON
from tests.run_folders import write_run

FILES = [
    "report.html",
    "report.md",
    "plots/quality_against_latency.svg",
    "plots/stage_times.svg",
    "tables/results.csv",
    "tables/comparison.csv",
    "tables/paper_table1.csv",
    "tables/comparison.tex",
    "tables/paper_table1.tex",
]


def test_the_same_run_gives_the_same_bytes(run, written, tmp_path):
    again = report.write([run], table="paper_table1", out=tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in again] == FILES
    for path in again:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes(), path


def test_without_a_folder_the_report_goes_into_the_first_run(tmp_path):
    first, second = write_run(tmp_path / "a", audio=False), write_run(tmp_path / "b", audio=False)
    assert report.write([first, second], formats=["csv"])[0] == first / "tables" / "results.csv"


def test_unknown_formats_and_tables_are_refused_with_the_near_miss(run, tmp_path):
    with pytest.raises(SuiteError, match="did you mean 'html'"):
        report.write([run], formats=["htm"], out=tmp_path)
    with pytest.raises(SuiteError, match="did you mean 'paper_table1'"):
        report.write([run], table="paper_table2", out=tmp_path)
    with pytest.raises(RunError, match=r"run\.json: not found"):
        report.write([tmp_path], out=tmp_path)


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="another folder"):
        report.write([run], formats=["csv"], out=tmp_path / "file")


def test_markdown_shows_hostile_text_as_text(written):
    text = (written / "report.md").read_text()
    assert "<b>" not in text and "failed: no rows \\|" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") - line.count("\\|") for line in rows if "fd\\[tiny-clap\\]" in line} <= {6, 8}


def test_markdown_shows_a_role_as_text_whatever_it_is():
    shown = markdown.table(Table("t", "T", (Column("fd", "Quality"),), (Row("a", "<i>|", (absent("-"),)),)))
    assert "(&lt;i&gt;\\|)" in shown


@pytest.mark.parametrize(
    "text", ["a|b", "<script>", "*x*", "[l](u)", "@team", "https://x.y", "- list", "# head", "`c`"]
)
def test_markdown_escapes_every_kind_of_markup(text):
    escaped = escape.markdown(text + "\nnext")
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|*`#\[\]]|<|@|://|^-", escaped.replace("&#64;", "").replace("&#58;", ""))


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", " =1"])
def test_csv_text_cannot_become_a_formula(text):
    assert escape.csv(text).startswith("'")


def test_csv_keeps_every_result_in_full(run, written):
    rows = list(csv.DictReader(io.StringIO((written / "tables/results.csv").read_text())))
    record = Run.read(run)
    assert len(rows) == sum(len(system.results) for system in record.systems)
    found = next(row for row in rows if (row["system"], row["metric"]) == ("arc-8", "clap[tiny-clap]"))
    assert float(found["value"]) == record.system("arc-8").result("clap[tiny-clap]").value
    assert (found["planned"], found["scored"]) == ("10", "10")
    failed = next(row for row in rows if row["failure"])
    assert failed["failure"] == REASON and failed["value"] == ""


def test_wide_csv_has_one_line_for_each_system(run, written):
    rows = list(csv.DictReader(io.StringIO((written / "tables/comparison.csv").read_text())))
    assert [row["system"] for row in rows] == [system.name for system in Run.read(run).systems]
    assert rows[-1]["fd[tiny-clap]"].startswith("failed: ")
    assert float(rows[3]["fd[tiny-clap] low"]) < float(rows[3]["fd[tiny-clap]"])


def test_latex_is_balanced_and_every_line_has_all_columns(written):
    for name in ("comparison", "paper_table1"):
        text = (written / f"tables/{name}.tex").read_text()
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        for block in re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}(.*?)\\end\{tabular\}", text, re.S):
            columns, body = block
            lines = [line for line in body.splitlines() if line.endswith(r"\\")]
            assert len(lines) >= 4
            assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in lines)
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\toprule") >= 2
    assert r"failed\textsuperscript{a}" in (written / "tables/comparison.tex").read_text()


def test_latex_has_no_active_character_left():
    escaped = escape.latex(HOSTILE)
    assert not re.search(r"(?<!\\)[%&$#_]", escaped) and "\\input" not in escaped and "^" not in escaped


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex to compile the tables")
def test_latex_compiles(written, tmp_path):
    tables = "\n".join(f"\\input{{{path.as_posix()}}}" for path in sorted((written / "tables").glob("*.tex")))
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,amssymb}\begin{document}"
    (tmp_path / "all.tex").write_text(f"{head}\n{tables}\n\\end{{document}}")
    subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, check=True
    )
