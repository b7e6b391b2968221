"""Files of the hub: by the real client, from a hub on this machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import COMMIT, Hub, closed_port, serving, surroundings
from huggingface_hub import constants

from arc_eval.errors import CheckpointError
from arc_eval.models.hub import cached_file, cached_folder, hub_file, hub_folder
from arc_eval.models.offline import SWITCHES, go_offline, offline

GATED = "stabilityai/stable-audio-open-small"
OPEN = "somebody/some-model"


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str, home: Path) -> None:
    """This process knows only that hub, with a cache of its own. The client read its environment long ago."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in (*SWITCHES, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An open and a gated repository."""
    files = {"model.safetensors": b"weights", "model_config.json": b"{}", "vae/config.json": b"[]"}
    with serving(Hub({OPEN: dict(files), GATED: dict(files)}, gated={GATED}, tokens={"hf_right"})) as served:
        point_at(monkeypatch, served.endpoint, tmp_path)
        yield served


def refusal(*asked: str | None) -> str:
    """What is said when the hub's file cannot be had."""
    with pytest.raises(CheckpointError) as caught:
        hub_file(*asked)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_file_is_fetched_once_and_then_read_from_the_cache(hub: Hub):
    path = hub_file(OPEN, "model.safetensors")
    assert path.read_bytes() == b"weights"
    asked = len(hub.asked)
    assert hub_file(OPEN, "model.safetensors") == path == cached_file(OPEN, "model.safetensors")
    assert len(hub.asked) == asked


def test_a_commit_names_the_same_file_as_its_branch(hub: Hub):
    assert hub_file(OPEN, "vae/config.json", COMMIT) == hub_file(OPEN, "vae/config.json")


def test_a_folder_holds_what_matches_and_nothing_else(hub: Hub):
    assert cached_folder(OPEN, ["*.json"]) is None
    folder = hub_folder(OPEN, ["*.json"])
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"model_config.json", "vae/config.json"}
    assert cached_folder(OPEN, ["*.json"]) == folder
    assert cached_folder(OPEN, ["*.safetensors"]) is None, "known to be missing"
    asked = len(hub.asked)
    assert hub_folder(OPEN, ["*.json"]) == folder
    assert len(hub.asked) == asked


def test_a_folder_of_which_one_file_was_fetched_is_not_taken_for_whole(hub: Hub):
    hub_file(OPEN, "model_config.json")
    assert (hub_folder(OPEN, ["*.json"]) / "vae" / "config.json").is_file()


def test_a_gated_repository_without_a_token_names_licence_page_and_command(hub: Hub):
    said = refusal(GATED, "model.safetensors")
    for part in (
        f"hf://{GATED}/model.safetensors",
        "Stability AI Community License",
        f"https://huggingface.co/{GATED}",
        "hf auth login",
        "HF_TOKEN",
        "no access token was sent",
    ):
        assert part in said


def test_a_gated_repository_with_anothers_token_says_which_account_must_be_let_in(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "the account of that token" in refusal(GATED, "model.safetensors")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert hub_file(GATED, "model.safetensors").read_bytes() == b"weights"


def test_no_such_repository_names_the_near_one(hub: Hub):
    assert f"did you mean '{GATED}'" in refusal("stabilityai/stable-audio-open-smal", "model.safetensors")


def test_no_such_file_names_the_near_one(hub: Hub):
    assert "did you mean 'model.safetensors'" in refusal(OPEN, "model.safetensor")


def test_no_such_revision_names_those_there_are(hub: Hub):
    assert "did you mean 'v1.0'" in refusal(OPEN, "model.safetensors", "v1.1")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_a_name_that_leads_out_of_the_repository_is_refused(hub: Hub, name: str):
    assert "path inside it" in refusal(OPEN, name)
    assert not hub.asked


def test_what_is_no_name_of_a_repository_is_refused(hub: Hub):
    assert "owner/name" in refusal("some where/over/the rainbow", "model.safetensors")


def test_a_hub_that_is_down_is_told_from_no_network(hub: Hub):
    hub.failure = 503
    assert "answered 503" in refusal(OPEN, "model.safetensors")


def test_no_network_is_said_at_once_with_the_way_to_bring_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    point_at(monkeypatch, closed_port(), tmp_path)
    started = time.monotonic()
    said = refusal(GATED, "model.safetensors")
    assert time.monotonic() - started < 5
    for part in (
        "cannot be reached",
        "arc-eval weights fetch stable-audio-open-small",
        str(tmp_path / "hub"),
    ):
        assert part in said
    assert f"hf download {OPEN} model.safetensors --revision v1" in refusal(OPEN, "model.safetensors", "v1")


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("arc_eval.models.hub.PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_at(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        started = time.monotonic()
        assert "cannot be reached" in refusal(OPEN, "model.safetensors")
        with pytest.raises(CheckpointError, match="cannot be reached"):
            hub_folder(OPEN, ["*"])
        assert time.monotonic() - started < 5


def test_a_server_that_is_no_hub_is_told_from_a_missing_file(hub: Hub):
    hub.failure = 404
    assert "not as a Hugging Face hub does" in refusal(OPEN, "model.safetensors")


@pytest.mark.parametrize("switch", SWITCHES)
def test_offline_never_dials_out(hub: Hub, monkeypatch: pytest.MonkeyPatch, switch: str):
    path = hub_file(OPEN, "model_config.json")
    folder = hub_folder(OPEN, ["vae/*"])
    hub.asked.clear()
    monkeypatch.setenv(switch, "1")
    assert offline()
    assert hub_file(OPEN, "model_config.json") == path
    assert hub_folder(OPEN, ["vae/*"]) == folder
    said = refusal(OPEN, "model.safetensors")
    assert "while offline" in said and "HF_HUB_OFFLINE" in said and "models--somebody--some-model" in said
    with pytest.raises(CheckpointError, match="while offline"):
        hub_folder(GATED, ["*"])
    assert not hub.asked


def test_going_offline_stops_a_client_that_was_imported_before(hub: Hub):
    go_offline()
    assert offline() and huggingface_hub.is_offline_mode()
    with pytest.raises(huggingface_hub.errors.OfflineModeIsEnabled):
        huggingface_hub.HfApi().model_info(OPEN)
    assert not hub.asked
    assert os.environ["HF_HUB_OFFLINE"] == "1", "for the processes that this one starts"


def test_transformers_stays_offline_too(hub: Hub, tmp_path: Path):
    code = (
        "from arc_eval.models.offline import go_offline; go_offline()\n"
        "from transformers import AutoConfig\n"
        "try: AutoConfig.from_pretrained('somebody/some-model')\n"
        "except OSError: print('refused')\n"
    )
    environment = os.environ | surroundings(hub.endpoint, tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "refused", done.stderr
    assert not hub.asked


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    said = refusal(OPEN, "model.safetensors")
    assert str(tmp_path / "file" / "hub") in said and "HF_HOME" in said


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'arc_eval[models]'" in refusal(OPEN, "model.safetensors")
