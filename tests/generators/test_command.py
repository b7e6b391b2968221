"""Any program can be evaluated; what it does wrong costs a clip and says why, never the Run."""

import gc
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_suites import suite_data, write_suite
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.errors import AudioError, DataError, IncompleteError, SuiteError
from arc_eval.generators.command import Command, Settings
from arc_eval.pipeline.run import run
from arc_eval.records.parquet import read_clips
from arc_eval.records.prompt import Prompt
from arc_eval.registry import settings
from arc_eval.store import Store
from arc_eval.suite import load_suite

PROGRAM = Path(__file__).with_name("say_tone.py")
RATE = 8000


def options(**changes: Any) -> dict[str, Any]:
    return {"command": [sys.executable, str(PROGRAM)], "version": "1", "sample_rate": RATE, **changes}


def generator(**changes: Any) -> Command:
    return Settings(**options(**changes)).build()


@pytest.fixture(scope="module")
def program() -> Command:
    return generator()


def clip(program: Command, text: str, seconds: float = 0.1, seed: int = 3) -> torch.Tensor:
    return next(iter(program.generate([Prompt("p", text, seconds)], [seed])))


def process(program: Command) -> int:
    """The id of the process that answers."""
    with pytest.raises(IncompleteError, match="process") as caught:
        clip(program, "process")
    return int(str(caught.value).rpartition(" ")[2])


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits for a parent which never asks does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_clip_is_what_the_program_wrote(program: Command):
    made = clip(program, "a tone", seconds=0.1, seed=240)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(800) / RATE) * 10000 / 2**15
    assert made.shape == (2, 800)
    assert (made - expected).abs().max() < 1e-3


def test_neither_batch_nor_order_changes_a_clip(program: Command):
    prompts = [Prompt("a", "one", 0.1), Prompt("b", "two", 0.05), Prompt("c", "three", 0.08)]
    together = list(program.generate(prompts, [1, 2, 3]))
    backwards = list(program.generate(prompts[::-1], [3, 2, 1]))[::-1]
    assert [made.shape[-1] for made in together] == [800, 400, 640]
    assert all(torch.equal(a, b) for a, b in zip(together, backwards, strict=True))


def test_one_process_makes_all_clips_also_after_a_refusal(program: Command):
    before = process(program)
    with pytest.raises(IncompleteError, match=r"^p: .*no such sound$"):
        clip(program, "refuse")
    clip(program, "a tone")
    assert process(program) == before


def test_longer_clips_are_cut_and_one_sample_of_rounding_is_filled(program: Command):
    assert torch.equal(clip(program, "long"), clip(program, "a tone"))
    exact = 0.1 + 0.6 / RATE  # 800.6 samples: 801, where a program that rounds down writes 800
    assert clip(program, "a tone", seconds=exact).shape[-1] == 801


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate", "its file has 4000 Hz, `sample_rate` says 8000"),
        ("mono", "its file has 1 channels, not 2"),
        ("short", r"400 samples \(0.050 s\) where 0.1 s, 800 samples, were asked for"),
        ("hidden", "said that the clip is written, but there is no file"),
        ("text", "not an audio file"),
    ],
)
def test_a_file_that_is_not_what_was_asked_for_is_named(program: Command, text: str, reason: str):
    before = process(program)
    with pytest.raises(AudioError, match=rf"^p: .*{reason}") as caught:
        clip(program, text)
    assert "/tmp" not in str(caught.value)
    assert process(program) == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("die", r"ended with exit code 1 before it answered; its stderr ends: first line \| out of paper"),
        ("crash", "killed by SIGABRT before it answered"),
        ("elsewhere", r'answered \{"out": "/tmp/other.wav"\}; it should answer'),
    ],
)
def test_a_program_that_breaks_off_is_started_again(program: Command, text: str, reason: str):
    before = process(program)
    with pytest.raises(IncompleteError, match=reason):
        clip(program, text)
    assert ends(before)
    assert clip(program, "a tone").shape == (2, 800)
    assert process(program) != before


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path):
    hanging = generator(timeout=1.0, env={"NOTES": str(tmp_path / "notes")})
    with pytest.raises(IncompleteError, match=r"no answer within 1 s \(`timeout`\); it was ended"):
        clip(hanging, "hang")
    parent, child = map(int, (tmp_path / "notes").read_text().split())
    assert ends(parent)
    assert ends(child)
    assert clip(hanging, "a tone").shape == (2, 800)


def test_what_is_no_answer_goes_to_the_log(program: Command, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        clip(program, "chatty")
    assert "50 %" in caplog.text


def test_a_program_that_dies_at_its_start_says_so():
    broken = generator(command=[sys.executable, "-c", "raise SystemExit('no licence')"])
    for _ in range(2):
        with pytest.raises(
            IncompleteError, match=r"exit code 1 before it answered; its stderr ends: no licence"
        ):
            clip(broken, "a tone")


def test_the_process_and_its_folder_go_with_the_generator():
    going = generator()
    pid, folder = process(going), going._folder
    assert folder.is_dir()
    assert not list(folder.iterdir())
    del going
    gc.collect()
    assert ends(pid)
    assert not folder.exists()


def test_the_process_and_its_folder_go_with_the_interpreter():
    script = (
        "import json, sys\n"
        "from arc_eval.generators.command import Settings\n"
        "from arc_eval.records.prompt import Prompt\n"
        "made = Settings(**json.loads(sys.argv[1])).build()\n"
        "made.generate([Prompt('p', 'a tone', 0.1)], [1])\n"
        "print(made._program._process._popen.pid, made._folder)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(options())], capture_output=True, text=True, check=True
    )
    pid, folder = done.stdout.split()
    assert ends(int(pid))
    assert not Path(folder).exists()


def test_an_interrupt_leaves_no_answer_behind(program: Command, monkeypatch: pytest.MonkeyPatch):
    clip(program, "a tone")
    listening = program._program._process
    assert listening is not None

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(listening, "_next_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clip(program, "a tone", seed=1)
    assert clip(program, "a tone", seconds=0.05).shape == (2, 400)


def test_identity_changes_with_what_decides_a_clip_and_not_with_where_it_lies(tmp_path: Path):
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
        (place / "weights").write_bytes(b"1")
    plain = options(files=[places[0] / "weights"])
    identity = Settings(**plain).build().identity()
    assert Settings(**options(files=[places[1] / "weights"], cwd=places[1])).build().identity() == identity
    assert Settings(**{**plain, "timeout": 5}).build().identity() == identity
    (places[1] / "weights").write_bytes(b"2")
    changes: list[dict[str, Any]] = [
        {"files": [places[1] / "weights"]},
        {"version": "2"},
        {"sample_rate": 4000},
        {"channels": 1},
        {"env": {"MODEL": "large"}},
        {"command": [*plain["command"], "--steps", "4"]},
    ]
    others = [Settings(**{**plain, **change}).build().identity() for change in changes]
    assert len({json.dumps(dict(other), sort_keys=True) for other in [identity, *others]}) == 7


@pytest.mark.parametrize(
    "command",
    [f"{sys.executable} gen.py", f"{sys.executable} sub/../gen.py --steps 4", "./gen.py", "gen.py"],
)
def test_one_command_in_two_folders_is_two_programs_unless_their_content_is_one(command: str, tmp_path: Path):
    def identity(folder: Path, **changes: Any) -> dict[str, str]:
        return dict(generator(command=command, cwd=folder, **changes).identity())

    folders = [tmp_path / name for name in "abc"]
    for folder, text in zip(folders, ("# one", "# two", "# one"), strict=True):
        (folder / "sub").mkdir(parents=True)
        (folder / "gen.py").write_text(f"#!{sys.executable}\n{text}\n")
        (folder / "gen.py").chmod(0o755)
    on_path = [{"env": {"PATH": str(folder)}} if command == "gen.py" else {} for folder in folders]
    found = [identity(folder, **env) for folder, env in zip(folders, on_path, strict=True)]
    for each in found:
        each.pop("env")
    assert found[0] == found[2] != found[1]
    assert str(tmp_path) not in json.dumps(found)


def test_a_file_is_the_same_by_its_absolute_path(tmp_path: Path):
    (tmp_path / "gen.py").write_text("# one")
    there = generator(command=[sys.executable, str(tmp_path / "gen.py")]).identity()
    assert generator(command=[sys.executable, "gen.py"], cwd=tmp_path).identity() == there


def test_files_are_seen_from_the_programs_own_folder(tmp_path: Path):
    (tmp_path / "weights").write_bytes(b"1")
    relative = generator(files=["weights"], cwd=tmp_path).identity()
    assert relative == generator(files=[tmp_path / "weights"], cwd=tmp_path).identity()
    with pytest.raises(DataError, match=r"weights: no such file; is `files` right?"):
        generator(files=["weights"])


def test_a_program_of_this_machine_is_its_name_and_a_long_word_is_no_file(tmp_path: Path):
    script = f"# {'x' * 5000}"
    (tmp_path / "sh").write_text("never run")  # not the program: that is found by PATH
    written = generator(command=["sh", "-c", script], cwd=tmp_path).identity()["command"]
    assert json.loads(written) == ["sh", "-c", script]


def test_a_command_may_be_one_string_as_in_a_shell():
    written = shlex.join([sys.executable, str(PROGRAM), "two words"])
    assert Settings(**options(command=written)).command == (sys.executable, str(PROGRAM), "two words")


def test_a_program_is_found_from_its_own_folder(tmp_path: Path):
    (tmp_path / "tone").write_text(f"#!/bin/sh\nexec {sys.executable} {PROGRAM}\n")
    (tmp_path / "tone").chmod(0o755)
    assert clip(generator(command="./tone", cwd=tmp_path), "a tone").shape == (2, 800)
    with pytest.raises(DataError, match=r"\./tone: no such program"):
        generator(command="./tone")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"command": "no-such-program --fast"}, "no-such-program: no such program, or not executable"),
        ({"files": ["/nowhere/weights"]}, "/nowhere/weights: no such file; is `files` right?"),
        ({"cwd": "/nowhere"}, "/nowhere: no such folder; is `cwd` right?"),
    ],
)
def test_what_is_not_there_is_said_before_anything_runs(wrong: dict[str, Any], reason: str):
    with pytest.raises(DataError, match=reason):
        generator(**wrong)


def test_settings_that_say_too_little_are_refused():
    with pytest.raises(SuiteError, match=r"version: Field required"):
        settings("generators", {"kind": "command", "command": "true", "sample_rate": 8000}, "suite")
    with pytest.raises(SuiteError, match=r"did you mean 'timeout'"):
        settings("generators", {"kind": "command", **options(timeot=3)}, "suite")


@pytest.fixture
def make_suite(tmp_path: Path) -> Callable[..., Path]:
    def make(captions: list[str]) -> Path:
        lines = [f"p{index},{text},0.2" for index, text in enumerate(captions)]
        (tmp_path / "prompts.csv").write_text("\n".join(["id,caption,seconds", *lines]) + "\n")
        changes: dict[str, Any] = {
            "prompts": {"kind": "folder", "path": str(tmp_path / "prompts.csv")},
            "controls": {},
            "takes": 1,
            "generators": {"tone": {"kind": "command", **options()}},
        }
        return write_suite(tmp_path / "suite.yaml", suite_data(tmp_path / "no-model", **changes))

    return make


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dying_program_costs_its_clips_and_no_others(
    make_suite: Callable[..., Path], tmp_path: Path, workers: int
):
    suite = load_suite(make_suite(["fine", "die", "low", "short", "high", "refuse"]))
    found = run(suite, tmp_path / "run", store=Store(tmp_path / "store"), workers=workers)
    rows = {row.prompt: row for row in read_clips(tmp_path / "run")}
    assert [name for name, row in rows.items() if row.status == "ok"] == ["p0", "p2", "p4"]
    assert "out of paper" in rows["p1"].reason
    assert "800 samples" in rows["p3"].reason
    assert "no such sound" in rows["p5"].reason
    assert found.stages["generate"].startswith("failed: tone: 3 of 6 clips failed; p1#0: ")


def test_a_run_with_a_dying_program_is_incomplete(make_suite: Callable[..., Path], tmp_path: Path):
    suite = make_suite(["fine", "die", "low", "high"])
    place = ["--out", str(tmp_path / "run"), "--store", str(tmp_path / "store"), "--quiet", "--workers", "1"]
    assert CliRunner().invoke(app, ["run", str(suite), *place]).exit_code == 3
