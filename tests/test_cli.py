"""The command line: what it prints where, and the code it leaves with."""

import errno
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from run_folders import sound, write_run
from tiny_suites import save_random_model, suite_data, write_suite
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.cli.app import Inert
from arc_eval.cli.evaluate import usual_workers
from arc_eval.cli.failures import explain, unforeseen
from arc_eval.cli.progress import Lines, duration
from arc_eval.cli.results import complete, run_text
from arc_eval.cli.show import table
from arc_eval.dsp import write_audio
from arc_eval.errors import (
    AudioError,
    CheckpointError,
    DataError,
    IncompleteError,
    NotComparableError,
    RunError,
    SuiteError,
    TrainingError,
)
from arc_eval.pipeline.bench import bench
from arc_eval.pipeline.plan import PlannedSystem
from arc_eval.pipeline.trials import Timed
from arc_eval.records.run import Run
from arc_eval.report.source import read_sources
from arc_eval.suite import Suite, load_suite
from arc_eval.targets.local import available_cores

FD = "fd[tiny-clap]"
COMMANDS = ("run", "score", "report", "compare", "gate", "bench", "generate", "train", "list", "check")

runner = CliRunner()


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A Run of one generator whose Fréchet distance is 23, within 1.5."""
    return write_run(tmp_path / "run", systems=("arc-8",), gates=[{"metric": FD, "max": 40}], audio=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model with random weights."""
    return save_random_model(tmp_path / "model")


@pytest.fixture
def suite(tmp_path: Path, model: Path) -> Path:
    """A suite that the whole pipeline runs through in seconds."""
    target = {"target": {"kind": "local"}, "warmup": 1, "trials": 7}
    return write_suite(tmp_path / "tiny.yaml", suite_data(model, bench=target))


def test_help_names_every_command_and_every_exit_code():
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(f"\n  {command} " in shown.output for command in COMMANDS)
    words = " ".join(shown.output.split())
    assert all(
        code in words for code in ("0 passed", "1 a gate", "2 you", "3 inc", "4 not", "5 inc", "130 int")
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str):
    shown = runner.invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_prints_results_offers_json(command: str):
    assert "--json" in runner.invoke(app, [command, "--help"]).output


def test_the_help_waits_for_no_heavy_library():
    """Half a second is the budget for --help, and importing torch alone takes longer than that."""
    heavy = ("torch", "numpy", "pandas", "altair", "duckdb", "transformers", "scipy", "rich", "pydantic")
    code = f"import arc_eval.cli, sys; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["runn", "quickstart"], "'run'"),
        (["run", "quickstart", "--limitt", "3"], "--limit"),
        (["list", "metricz"], "'metrics'"),
        (["generate"], "GENERATOR"),
    ],
)
def test_misspelt_usage_leaves_with_2_and_the_near_miss(arguments: list[str], hint: str):
    shown = runner.invoke(app, arguments)
    assert shown.exit_code == 2
    assert hint in shown.stderr


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Makes `check` raise the last error put into the list."""
    raised: list[BaseException] = []

    def load(*_: object) -> None:
        raise raised[-1]

    monkeypatch.setattr("arc_eval.suite.load_suite", load)
    yield raised


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SuiteError("suite.yaml: generators.arc: unknown key"), 2),
        (AudioError("a.wav: truncated"), 2),
        (DataError("metadata.csv: duplicate id"), 2),
        (CheckpointError("model.safetensors: of another architecture"), 2),
        (TrainingError("step 3: loss not finite"), 2),
        (RunError("run.json: not found"), 2),
        (IncompleteError("nothing was measured"), 3),
        (NotComparableError("resampler differs"), 4),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "clips/a.flac"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), 2),
    ],
)
def test_each_error_leaves_with_its_code_and_one_message(
    failing: list[BaseException], error: BaseException, code: int
):
    failing.append(error)
    shown = runner.invoke(app, ["check", "x"])
    assert shown.exit_code == code
    assert shown.stderr.startswith("error: ")
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""


def test_a_full_disk_is_told_with_its_place_and_remedy():
    said = explain(OSError(errno.ENOSPC, "No space left on device", "runs/a.flac"))
    assert said.startswith("runs/a.flac: No space left on device; free some space")


HOSTILE = "x\x1b[31m\n::error::forged"
"""What others may write into a suite: colours for the terminal, commands to the build server."""


def test_an_error_in_words_of_others_commands_neither_terminal_nor_build_server(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
):
    failing.append(SuiteError(HOSTILE))
    shown = runner.invoke(app, ["check", "x"]).stderr
    unforeseen(ValueError(HOSTILE))
    for text in (shown, capsys.readouterr().err, Inert().format(logging.makeLogRecord({"msg": HOSTILE}))):
        assert "\x1b" not in text
        assert not any(line.startswith("::") for line in text.splitlines())


def test_a_verdict_in_words_of_others_stays_on_its_line(tmp_path: Path):
    gates = [{"metric": FD, "max": 40}]
    failures = {("arc-8", FD): HOSTILE}
    run = write_run(tmp_path / "run", systems=("arc-8",), failures=failures, gates=gates, audio=False)
    shown = runner.invoke(app, ["gate", str(run)]).stdout
    assert "forged" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


def test_an_interruption_says_how_to_go_on(failing: list[BaseException]):
    failing.append(KeyboardInterrupt())
    assert "Run the same command again" in runner.invoke(app, ["check", "x"]).stderr


def test_an_unforeseen_error_asks_for_debug_and_then_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert unforeseen(ZeroDivisionError("division by zero")) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: ZeroDivisionError: division by zero\n")
    assert "ARC_EVAL_DEBUG=1" in said
    monkeypatch.setenv("ARC_EVAL_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        unforeseen(ZeroDivisionError("division by zero"))


def test_a_reader_that_goes_away_is_no_regression():
    """`arc-eval ... | head` must not leave with 1, which says that a gate found a regression."""
    code = "import sys, arc_eval.cli as cli; sys.stdin.read(1); sys.argv = ['arc-eval', 'list']; cli.main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout and child.stderr and child.stdin
    child.stdout.close()
    child.stdin.write("x")
    child.stdin.close()
    said = child.stderr.read()
    assert child.wait() != 1
    assert "Traceback" not in said


def test_ctrl_c_leaves_with_130_and_no_traceback(tmp_path: Path):
    code = (
        "import signal, arc_eval.suite as suite\n"
        # A shell starts what runs in its background deaf to Ctrl-C, and all that it starts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "suite.load_suite = lambda *_: signal.raise_signal(signal.SIGINT)\n"
        "import sys; from arc_eval.cli import main; sys.argv = ['arc-eval', 'check', 'x']; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGINT
    assert "kept" in done.stderr and "Traceback" not in done.stderr


def test_list_says_where_each_plug_in_comes_from():
    shown = runner.invoke(app, ["list", "metrics", "--json"])
    assert shown.exit_code == 0
    found = {entry["name"]: entry for entry in json.loads(shown.stdout)["metrics"]}
    assert found["frechet"]["origin"].startswith("arc_eval ")
    assert found["frechet"]["from"] == "arc_eval.metrics.frechet:Settings"


@pytest.mark.parametrize(("limit", "code"), [(40, 0), (23, 5), (20, 1)])
def test_gate_leaves_with_the_code_of_its_worst_verdict(run_folder: Path, limit: float, code: int):
    rules = run_folder / "rules.yaml"
    rules.write_text(f"- {{metric: '{FD}', max: {limit}}}\n", "utf-8")
    shown = runner.invoke(app, ["gate", str(run_folder), "--rules", str(rules)])
    assert shown.exit_code == code, shown.output
    assert shown.stdout.startswith(
        {0: "passed: arc-8", 5: "inconclusive: arc-8", 1: "regression: arc-8"}[code]
    )


def test_a_gate_without_rules_has_judged_nothing(tmp_path: Path):
    run = write_run(tmp_path / "run", systems=("arc-8",), audio=False)
    shown = runner.invoke(app, ["gate", str(run)])
    assert shown.exit_code == 3
    assert "--rules" in shown.stderr


def test_gate_takes_the_rules_of_the_suite_and_writes_junit(run_folder: Path):
    junit = run_folder / "gate.xml"
    shown = runner.invoke(app, ["gate", str(run_folder), "--junit", str(junit), "--json"])
    assert json.loads(shown.stdout)["exit_code"] == shown.exit_code == 0
    assert "<testsuite" in junit.read_text("utf-8")


def test_gate_speaks_to_github_where_it_runs_there(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    summary = tmp_path / "summary.md"
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"- {{metric: '{FD}', max: 20}}\n", "utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    shown = runner.invoke(app, ["gate", str(run_folder), "--rules", str(rules)])
    assert "::error title=regression" in shown.stderr
    assert "**1 regression** (exit code 1)" in summary.read_text("utf-8")


def test_comparing_a_run_with_itself_finds_no_difference(run_folder: Path):
    shown = runner.invoke(app, ["compare", str(run_folder), str(run_folder), "--json"])
    assert shown.exit_code == 0, shown.output
    differences = json.loads(shown.stdout)["differences"]
    assert {item["metric"]: item["value"] for item in differences}[FD] == 0
    assert not any(item["value"] for item in differences)


def test_compare_prints_both_values_and_who_is_better(tmp_path: Path):
    runs = [
        write_run(tmp_path / name, systems=("arc-8",), gain={"arc-8": gain}, audio=False)
        for name, gain in (("before", 0.0), ("after", 0.1))
    ]
    shown = runner.invoke(app, ["compare", *map(str, runs)]).stdout
    (line,) = [line for line in shown.splitlines() if FD in line]
    assert line.split()[:5] == ["arc-8", FD, "23", "13", "-10"]
    assert line.endswith("after")


def test_runs_measured_differently_leave_with_4(run_folder: Path, tmp_path: Path):
    other = write_run(tmp_path / "other", systems=("arc-8",), prompts_digest="e" * 64, audio=False)
    shown = runner.invoke(app, ["compare", str(run_folder), str(other)])
    assert shown.exit_code == 4
    assert "prompts_digest" in shown.stderr


CLAIMS = """
- claim: |
    (x) fewer
    steps are worse
  metric: fd[tiny-clap]
  of: [arc-8]
  than: [arc-1]
  is: lower
  same_training: true
"""


def test_claims_are_printed_with_what_they_rest_on(tmp_path: Path):
    run = write_run(tmp_path / "run", audio=False, systems=("recordings", "arc-8", "arc-1"))
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    asked = ["claims", str(run), "--claims", str(tmp_path / "claims.yaml")]
    shown = runner.invoke(app, asked)
    assert shown.exit_code == 0
    assert "(x) fewer steps are worse" in shown.stdout and "holds" in shown.stdout
    assert "one training" in shown.stdout and "p is one-sided" in shown.stdout
    (found,) = json.loads(runner.invoke(app, [*asked, "--json"]).stdout)
    assert found["outcome"] == "holds" and found["effect"] == pytest.approx(20.0)
    lines = runner.invoke(app, [*asked, "--markdown"]).stdout.splitlines()
    assert lines[1].count("---") == 9 and lines[2].count("|") == 10


def test_a_claim_that_could_not_be_measured_leaves_with_3(tmp_path: Path):
    run = write_run(tmp_path / "run", audio=False, systems=("recordings", "arc-8", "arc-1"))
    shown = runner.invoke(app, ["claims", str(run)])
    assert shown.exit_code == 3 and "no system 'arc-seed-*-8'" in shown.stdout
    assert runner.invoke(app, ["claims", str(run), "--claims", "papr"]).exit_code == 2


def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path: Path):
    shown = runner.invoke(app, ["compare", str(tmp_path), str(tmp_path)])
    assert shown.exit_code == 2
    assert str(tmp_path / "run.json") in shown.stderr


def test_the_table_says_what_failed_and_why(tmp_path: Path):
    failures = {("arc-8", FD): "fewer clips than features"}
    run = write_run(tmp_path / "run", systems=("recordings", "arc-8"), failures=failures, audio=False)
    shown = run_text(*read_sources([run]))
    rows = {line.split()[0]: line.split()[1] for line in shown.splitlines()[1:3]}
    assert rows == {"recordings": "7.0", "arc-8": "failed"}
    assert f"failed: arc-8: {FD}: fewer clips than features" in shown


def test_a_run_is_complete_only_if_something_was_measured_and_nothing_failed(tmp_path: Path):
    good = Run.read(write_run(tmp_path / "good", systems=("arc-8",), audio=False))
    failures = {("arc-8", FD): "no clip"}
    bad = Run.read(write_run(tmp_path / "bad", systems=("arc-8",), failures=failures, audio=False))
    assert complete(good)
    assert not complete(bad)
    assert not complete(replace(good, systems=()))
    assert not complete(replace(good, stages={"bench": "failed: no memory"}))


def test_check_counts_what_run_would_do_and_writes_nothing(suite: Path, tmp_path: Path):
    before = set(tmp_path.rglob("*"))
    shown = runner.invoke(app, ["check", str(suite), "--json", "--limit", "4"])
    assert shown.exit_code == 0, shown.output
    counts = json.loads(shown.stdout)["counts"]
    assert counts["prompts"] == 4
    assert counts["clips to generate"] == 4 * 2 * 2  # prompts, takes, generators
    assert counts["clips to judge"] == 4 * 2 * 4  # two controls more
    assert counts["timed trials"] == 7 * 2  # a median at 99% needs seven
    assert set(tmp_path.rglob("*")) == before


def test_a_dry_run_is_a_check(suite: Path):
    checked = runner.invoke(app, ["check", str(suite)])
    assert runner.invoke(app, ["run", str(suite), "--dry-run"]).stdout == checked.stdout
    assert "nothing was run" in checked.stdout


def test_a_plan_in_words_of_others_commands_no_build_server(tmp_path: Path, model: Path):
    data = suite_data(model, description=HOSTILE)
    data["generators"]["::warning::forged"] = data["generators"].pop("few-steps")
    shown = runner.invoke(app, ["check", str(write_suite(tmp_path / "hostile.yaml", data))])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("forged") >= 3
    assert not any(line.strip().startswith("::") for line in shown.stdout.splitlines())


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("generators.few-step.steps=4", "few-steps"),
        ("generators.few-steps.step=4", "steps"),
        ("metrics.0.kind=frechett", "frechet"),
    ],
)
def test_a_misspelt_override_is_refused_with_the_near_miss(suite: Path, override: str, hint: str):
    shown = runner.invoke(app, ["check", str(suite), "--set", override])
    assert shown.exit_code == 2
    assert f"did you mean '{hint}'" in shown.stderr


def test_run_prints_the_table_and_where_the_report_is(suite: Path, tmp_path: Path):
    out = tmp_path / "runs" / "tiny"
    arguments = ["run", str(suite), "--set", "bench=null", "--out", str(out)]
    shown = runner.invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    assert all(f"\n{name} " in shown.stdout for name in ("recordings", "shuffled", "many-steps", "few-steps"))
    assert "generate" in shown.stderr
    again = runner.invoke(app, [*arguments, "--quiet", "--json"])
    assert again.stderr == ""
    assert {system["name"] for system in json.loads(again.stdout)["run"]["systems"]} >= {"few-steps"}


def test_the_device_of_a_suite_holds_unless_another_is_asked_for(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Nothing can be heard on `meta`: what counts is where it would be tried.
    def untimed(_: Suite, systems: Sequence[PlannedSystem], *__: object) -> dict[str, Timed]:
        return {system.name: Timed((), "not tried") for system in systems}

    monkeypatch.setattr("arc_eval.pipeline.bench.time_systems", untimed)
    chosen = load_suite(suite, ["bench.target.device=meta", "generators.few-steps.device=meta"])

    def where(device: str | None) -> tuple[str, list[object]]:
        found = bench(chosen, tmp_path / "bench", device=device)
        return found.machine.accelerator, [system.settings["device"] for system in found.systems]

    assert where(None) == ("meta", ["cpu", "meta"])
    assert where("cpu") == ("none", ["cpu", "cpu"])
    assert where("meta") == ("meta", ["meta", "meta"])


@pytest.mark.parametrize("command", ["run", "bench"])
@pytest.mark.parametrize(("options", "device"), [([], None), (["--device", "cuda:1"], "cuda:1")])
def test_a_device_reaches_the_work_only_if_it_was_asked_for(
    suite: Path, monkeypatch: pytest.MonkeyPatch, command: str, options: list[str], device: str | None
):
    asked: list[object] = []

    def work(*_: object, **given: object) -> None:
        asked.append(given["device"])
        raise IncompleteError("nothing was measured")

    monkeypatch.setattr(f"arc_eval.pipeline.{command}.{command}", work)
    runner.invoke(app, [command, str(suite), *options])
    assert asked == [device]


@pytest.mark.parametrize("command", ["run", "bench"])
def test_a_device_that_is_not_there_is_said_before_anything_is_loaded(suite: Path, command: str):
    shown = runner.invoke(app, [command, str(suite), "--device", "abacus", "--quiet"])
    assert shown.exit_code == 2
    assert "device 'abacus' cannot be used here" in shown.stderr


def test_without_a_device_every_core_generates():
    assert usual_workers(None) == usual_workers("cpu") == available_cores()
    assert usual_workers("cuda") == 1


def test_bench_times_and_measures_nothing_else(suite: Path, tmp_path: Path):
    out = tmp_path / "bench"
    arguments = ["bench", str(suite), "--set", "generators.many-steps=null", "--out", str(out)]
    shown = runner.invoke(app, [*arguments, "--quiet", "--json"])
    assert shown.exit_code == 0, shown.output
    metrics = Run.read(out).metrics()
    assert "latency_p50" in metrics
    assert not any("[" in metric for metric in metrics)


def test_report_writes_the_formats_that_are_asked_for(tmp_path: Path):
    run = write_run(tmp_path / "run", systems=("recordings", "arc-8"))
    shown = runner.invoke(app, ["report", str(run), "--format", "md,csv", "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    written = list(map(Path, shown.stdout.split()))
    assert {path.suffix for path in written} - {".svg"} == {".md", ".csv"}
    assert all(path.is_file() for path in written)


def test_report_refuses_a_misspelt_format(run_folder: Path):
    shown = runner.invoke(app, ["report", str(run_folder), "--format", "htm"])
    assert shown.exit_code == 2
    assert "did you mean 'html'" in shown.stderr


def test_generate_writes_the_same_clip_for_the_same_seed(model: Path, suite: Path, tmp_path: Path):
    def clip(generator: Path | str, name: str, *options: str) -> bytes:
        out = tmp_path / name
        arguments = ["generate", str(generator), "a bell", "-o", str(out), "--seconds", "0.1", *options]
        shown = runner.invoke(app, arguments)
        assert shown.exit_code == 0, shown.output
        return out.read_bytes()

    few = ("--steps", "2", "--sampler", "pingpong", "--guidance", "1")
    first = clip(model, "a.wav", *few)
    assert clip(f"{suite}:few-steps", "b.wav") == first
    assert clip(model, "c.wav", *few, "--seed", "1") != first


def test_generate_refuses_a_name_that_nothing_has(suite: Path, tmp_path: Path):
    out = ["-o", str(tmp_path / "x.wav")]
    shown = runner.invoke(app, ["generate", f"{suite}:few-step", "a bell", *out])
    assert shown.exit_code == 2
    assert "did you mean 'few-steps'" in shown.stderr
    assert runner.invoke(app, ["generate", "tiny/nobody", "a bell", *out]).exit_code == 2


def test_score_judges_a_folder_against_itself_at_distance_zero(tmp_path: Path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    names = [f"{number}.wav" for number in range(6)]
    for number, name in enumerate(names):
        write_audio(folder / name, torch.from_numpy(sound(number, 0, 0.5).T), 44100)
    listed = folder / "metadata.csv"
    listed.write_text("file_name,caption\n" + "".join(f"{name},a chirp\n" for name in names), "utf-8")
    arguments = ["score", str(folder), "--prompts", str(listed), "--reference", str(folder)]
    options = ["--metrics", "frechet[mel]", "--out", str(tmp_path / "run"), "--json", "--quiet"]
    shown = runner.invoke(app, [*arguments, *options])
    assert shown.exit_code == 0, shown.output
    (system,) = json.loads(shown.stdout)["run"]["systems"]
    assert system["results"][0]["metric"] == "fd[mel]"
    assert system["results"][0]["value"] == pytest.approx(0, abs=1e-6)


def test_a_table_wider_than_the_terminal_goes_on_below_with_its_row_names():
    head = ["system", "first", "second", "third"]
    shown = table(head, [["arc", "1", "2", "3"]], width=22)
    blocks = [block.splitlines() for block in shown.split("\n\n")]
    assert [[line.split() for line in block] for block in blocks] == [
        [["system", "first", "second"], ["arc", "1", "2"]],
        [["system", "third"], ["arc", "3"]],
    ]
    assert all(len(line) <= 22 for block in blocks for line in block)


def test_text_of_others_cannot_steer_the_terminal():
    assert "\x1b" not in table(["system"], [["\x1b[2Jarc\nfake row"]])


def test_plain_progress_speaks_at_intervals_and_at_the_end():
    now = iter([0.0, 4.0, 12.0, 14.0])
    said: list[str] = []
    lines = Lines(interval=10.0, clock=lambda: next(now), write=said.append)
    with lines("generate arc-8", 10) as advance:
        advance(2)
        advance(4)
    assert said == [
        "generate arc-8: 6/10 after 12 s, about 8.0 s left",
        "generate arc-8: 6/10 in 14 s",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.42, "0.4 s"), (38, "38 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str):
    assert duration(seconds) == said


def test_the_entry_point_is_the_one_that_is_installed():
    """`arc-eval` and `arc_eval.cli:main` are one road."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="arc-eval")
    assert script.value == "arc_eval.cli:main"
    assert isinstance(app, typer.Typer)
