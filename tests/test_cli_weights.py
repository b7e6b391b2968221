"""`arc-eval weights`: what it prints, what it fetches from where, and the code it leaves with."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub, closed_port, serving, surroundings
from safetensors.numpy import save
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.models.artefacts import catalogue
from arc_eval.models.offline import SWITCHES

SMALL = "stabilityai/stable-audio-open-small"
FILES = {"base_model_config.json": b"{}", "base_model.ckpt": b"weights", "model_config.json": b"{}"}
PIPELINE = {
    "model_index.json": b"{}",
    "vae/model.safetensors": save({"w": np.ones(9)}),
    "README.md": b"hello",
}

Shown = subprocess.CompletedProcess[str]
Run = Callable[..., Shown]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Official repositories with small files of our own in them."""
    with serving(Hub({SMALL: dict(FILES), "cvssp/audioldm2": dict(PIPELINE)})) as served:
        yield served


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    """Runs `arc-eval` as a user does, against that hub: its client reads the environment once."""

    def arc_eval(*arguments: str, endpoint: str = "", **environment: str) -> Shown:
        own = {name: value for name, value in os.environ.items() if name not in (*SWITCHES, "HF_TOKEN")}
        given = own | surroundings(endpoint or hub.endpoint, tmp_path / "home") | environment
        command = [sys.executable, "-c", "from arc_eval.cli import main; main()", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=given, cwd=tmp_path)

    return arc_eval


def blob(home: Path, content: bytes) -> Path:
    """Where the cache keeps a content."""
    (found,) = home.rglob(f"blobs/{hashlib.sha256(content).hexdigest()}")
    return found


def test_list_names_every_artefact_and_dials_out_for_none(run: Run, hub: Hub):
    shown = run("weights", "list")
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()[1:] if line}
    assert all(name in rows for name in catalogue())
    assert "1.68 GB" in rows["stable-audio-open-small"] and "unknown" in rows["audioldm2"]
    entries = {entry["id"]: entry for entry in json.loads(run("weights", "list", "--json").stdout)}
    assert entries["t5-base"]["licence"]["name"] == "Apache License 2.0"
    assert entries["stable-audio-open-small-base"]["files"][1]["sha256"] is None
    assert not any(entry["cached"] for entry in entries.values())
    assert not hub.asked


def test_what_was_fetched_is_listed_verified_and_used_offline(run: Run, hub: Hub, tmp_path: Path):
    shown = run("weights", "fetch", "stable-audio-open-small-base", "audioldm2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("as the hub announced it") == 2 + 2, "README.md belongs to no pipeline"
    asked = len(hub.asked)
    entries = {entry["id"]: entry for entry in json.loads(run("weights", "list", "--json").stdout)}
    place = Path(entries["stable-audio-open-small-base"]["places"]["base_model.ckpt"])
    assert place.read_bytes() == FILES["base_model.ckpt"] and tmp_path in place.parents
    assert [name for name, entry in entries.items() if entry["cached"]] == [
        "stable-audio-open-small-base",
        "audioldm2",
    ]
    assert run("weights", "verify").returncode == 0
    again = run("weights", "fetch", "stable-audio-open-small-base", "audioldm2", "--offline")
    assert again.stdout == shown.stdout
    assert len(hub.asked) == asked


def test_a_flipped_byte_is_found_and_fetching_again_mends_it(run: Run, tmp_path: Path):
    run("weights", "fetch", "stable-audio-open-small-base")
    damaged = blob(tmp_path / "home", FILES["base_model.ckpt"])
    damaged.write_bytes(b"weighty")
    shown = run("weights", "verify", "stable-audio-open-small-base")
    assert shown.returncode == 2
    assert "DAMAGED" in shown.stdout
    assert f"rm {damaged} && arc-eval weights fetch stable-audio-open-small-base" in shown.stderr
    damaged.unlink()
    assert run("weights", "fetch", "stable-audio-open-small-base").returncode == 0
    assert damaged.read_bytes() == FILES["base_model.ckpt"]


def test_a_file_that_is_not_the_catalogues_is_refused(run: Run, hub: Hub):
    hub.repositories[SMALL]["model.safetensors"] = save({"weight": np.ones(3)})
    shown = run("weights", "fetch", "stable-audio-open-small", "--json")
    assert shown.returncode == 2
    assert "truncated" in shown.stderr
    seen = json.loads(shown.stdout)["stable-audio-open-small"]["model.safetensors"]
    assert seen["against"] == "catalogue" and seen["problem"]


def test_verifying_nothing_is_no_success(run: Run):
    assert run("weights", "verify").returncode == 3
    shown = run("weights", "verify", "t5-base")
    assert shown.returncode == 2
    assert "arc-eval weights fetch t5-base" in shown.stderr


def test_a_gated_one_without_a_token_says_what_to_do(run: Run, hub: Hub):
    hub.gated.add(SMALL)
    shown = run("weights", "fetch", "stable-audio-open-small")
    assert shown.returncode == 2
    assert all(
        part in shown.stderr for part in ("Community License", f"{SMALL};", "hf auth login", "HF_TOKEN")
    )
    hub.tokens.add("hf_right")
    assert run("weights", "fetch", "stable-audio-open-small-base", HF_TOKEN="hf_right").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--offline"], {}), ([], {"ARC_EVAL_OFFLINE": "1"}), ([], {"HF_HUB_OFFLINE": "1"})],
)
def test_offline_and_absent_is_refused_without_a_call(
    run: Run, hub: Hub, arguments: list[str], environment: dict[str, str]
):
    for name in ("stable-audio-open-small", "audioldm2"):
        shown = run("weights", "fetch", name, *arguments, **environment)
        assert shown.returncode == 2
        assert "while offline" in shown.stderr and f"arc-eval weights fetch {name}" in shown.stderr
    assert not hub.asked


def test_no_network_is_told_from_a_wrong_name(run: Run):
    shown = run("weights", "fetch", "stable-audio-open-small", "audioldm2", endpoint=closed_port())
    assert shown.returncode == 2
    assert "cannot be reached" in shown.stderr and "Traceback" not in shown.stderr
    assert "did you mean 'audioldm2'" in run("weights", "fetch", "audioldm").stderr


def test_a_model_is_exported_in_the_official_layout(tmp_path: Path):
    out = tmp_path / "exported"
    shown = CliRunner().invoke(
        app, ["weights", "export", "tiny/arc", "--out", str(out), "--dtype", "float16"]
    )
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip() == str(out)
    assert {"model_config.json", "model.safetensors"} <= {path.name for path in out.iterdir()}
    refused = CliRunner().invoke(app, ["weights", "export", "tiny/arcc", "--out", str(out)])
    assert refused.exit_code == 2
    assert "did you mean 'arc'" in refused.stderr


def test_loading_a_model_offline_dials_out_for_nothing(run: Run, hub: Hub):
    shown = run("weights", "export", f"hf://{SMALL}@v1/base_model.ckpt", "--out", "exported", "--offline")
    assert shown.returncode == 2
    assert "while offline" in shown.stderr and f"hf://{SMALL}" in shown.stderr
    assert not hub.asked


@pytest.mark.parametrize("command", ["run", "bench", "generate"])
def test_the_commands_that_load_models_can_stay_offline(run: Run, command: str):
    assert "--offline" in run(command, "--help").stdout


def test_fetching_says_what_else_is_needed(run: Run):
    assert "arc-eval weights fetch t5-base" in run("weights", "fetch", "stable-audio-open-small-base").stderr
    assert run("weights", "fetch", "audioldm2").stderr == ""
