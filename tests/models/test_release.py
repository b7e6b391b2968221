"""Files on plain web servers: whole and as announced, or not there at all."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hub_server import closed_port

from arc_eval.errors import CheckpointError
from arc_eval.models.artefact_files import cached, checked, complete, fetch
from arc_eval.models.artefacts import Artefact, File, Licence, Release
from arc_eval.models.offline import SWITCHES
from arc_eval.models.release import released

WEIGHTS = bytes(range(256)) * 9000
"""More than is copied in one piece."""
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@dataclass
class Server:
    address: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {"net v1.pt": WEIGHTS})
    asked: list[str] = field(default_factory=list)
    promised: int = len(WEIGHTS)
    moved: str = ""
    """Where the server sends everybody, unless it is empty."""


@contextmanager
def serving() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            name = self.path.rpartition("/")[2].replace("%20", " ")
            if served.moved and not self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", f"{served.moved}/{self.path.rpartition('/')[2]}")
                self.end_headers()
            elif name in served.files:
                self.send_response(200)
                self.send_header("Content-Length", str(served.promised))
                self.end_headers()
                self.wfile.write(served.files[name])
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is in `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as served:
        yield served


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, empty."""
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def net(server: Server | str, **known: object) -> Artefact:
    """An artefact of one file. `https` is asked of the catalogue, and no test has a certificate."""
    base = server if isinstance(server, str) else f"{server.address}/v1"
    return Artefact(
        what="a network",
        release=Release.model_construct(base=base, page="https://example.org"),
        licence=Licence(name="Apache", url="https://example.org"),
        gated=False,
        needed_by=(),
        files=(File.model_validate({"name": "net v1.pt", **known}),),
    )


def test_a_file_is_fetched_once_checked_and_then_read_from_the_cache(server: Server, home: Path):
    artefact = net(server, bytes=len(WEIGHTS), sha256=SHA256)
    assert not complete(cached(artefact))
    (path,) = fetch(artefact).values()
    assert path == home / "net v1.pt" and path.read_bytes() == WEIGHTS
    assert fetch(artefact) == cached(artefact) == {"net v1.pt": path}
    assert server.asked == ["/v1/net%20v1.pt"]
    assert checked(artefact, "net v1.pt", path).against == "catalogue"


def test_a_file_of_unknown_digest_is_fetched_and_its_digest_is_told(server: Server):
    artefact = net(server)
    ((name, path),) = fetch(artefact).items()
    seen = checked(artefact, name, path)
    assert (seen.problem, seen.against, seen.sha256) == ("", "nothing", SHA256)


def test_what_another_program_put_into_the_cache_is_used(server: Server, home: Path):
    home.mkdir(parents=True)
    (home / "net v1.pt").write_bytes(b"there")
    assert fetch(net(server)) == {"net v1.pt": home / "net v1.pt"}
    assert not server.asked


@pytest.mark.parametrize(
    "known", [{"sha256": "0" * 64}, {"bytes": 3}, {"bytes": len(WEIGHTS), "sha256": "1" * 64}]
)
def test_another_content_than_the_catalogues_is_not_kept(
    server: Server, home: Path, known: dict[str, object]
):
    with pytest.raises(CheckpointError, match=f"not the file that the catalogue knows.*{SHA256}"):
        fetch(net(server, **known))
    assert list(home.iterdir()) == []


def test_a_transfer_that_breaks_off_leaves_nothing(server: Server, home: Path):
    server.files["net v1.pt"] = WEIGHTS[:-1]
    with pytest.raises(CheckpointError, match="broke off"):
        fetch(net(server))
    assert list(home.iterdir()) == []


def test_a_moved_file_is_followed_but_not_to_another_scheme(server: Server):
    server.moved = f"{server.address}/moved"
    assert fetch(net(server))
    server.moved = "file:///etc"
    with pytest.raises(CheckpointError):
        released(Release.model_construct(base=server.address, page=""), File(name="hosts"))


def test_a_missing_file_and_a_missing_network_say_what_to_do(server: Server, home: Path):
    server.files.clear()
    with pytest.raises(CheckpointError, match=r"answered 404 .* or put the file from http.*as .*net v1\.pt"):
        fetch(net(server))
    with pytest.raises(CheckpointError, match=r"cannot be reached .*Run the same command again"):
        fetch(net(closed_port()))


def test_offline_no_connection_is_opened(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ARC_EVAL_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"while offline .* or put the file from"):
        fetch(net(server))
    assert not server.asked


def test_a_cache_that_cannot_be_written_is_named(server: Server, tmp_path: Path):
    (tmp_path / "hub").write_bytes(b"a file where a folder should be")
    with pytest.raises(CheckpointError, match="TORCH_HOME names another place"):
        fetch(net(server))
