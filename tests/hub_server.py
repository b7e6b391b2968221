"""A small Hugging Face hub on this machine: files, listings, gates, and a record of who asked."""

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub serves: repositories with the content of their files by name."""

    repositories: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    """Those that open the gated repositories."""
    asked: list[str] = field(default_factory=list)
    """The requests that came in."""
    endpoint: str = ""
    failure: int = 0
    """The status of every answer, unless 0."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Runs the hub while inside."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def closed_port() -> str:
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def surroundings(endpoint: str, home: Path) -> dict[str, str]:
    """Environment variables of a process that knows only this hub and an empty cache."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "TORCH_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.failure:
            self.refuse(self.hub.failure, "")
        elif path.startswith("api/models/"):
            owner, name, *what = path.removeprefix("api/models/").split("/")
            self.describe(f"{owner}/{name}", what)
        elif path.startswith("api/"):  # the client asks for more than files
            self.refuse(404, "")
        else:
            owner, name, _, revision, *rest = path.split("/")
            self.serve(f"{owner}/{name}", revision, "/".join(rest), body)

    def serve(self, repository: str, revision: str, name: str, body: bool) -> None:
        if not self.open(repository):
            return
        if revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif name not in self.hub.repositories[repository]:
            self.refuse(404, "EntryNotFound")
        else:
            content = self.hub.repositories[repository][name]
            digest = hashlib.sha256(content).hexdigest()
            self.reply(content if body else b"", ETag=f'"{digest}"', length=len(content))

    def open(self, repository: str) -> bool:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository not in self.hub.repositories:
            self.refuse(404 if sent else 401, "RepoNotFound")
        elif repository in self.hub.gated and sent not in self.hub.tokens:
            self.refuse(403 if sent else 401, "GatedRepo")
        else:
            return True
        return False

    def describe(self, repository: str, what: list[str]) -> None:
        if not self.open(repository):
            return
        files = self.hub.repositories[repository]
        answers: dict[str, Any] = {
            "revision": {"id": repository, "sha": COMMIT, "siblings": []},
            "refs": {"branches": [_ref("main")], "tags": [_ref("v1.0")], "converts": []},
            "tree": [
                {"type": "file", "path": name, "size": len(content), "oid": COMMIT}
                for name, content in files.items()
            ],
        }
        self.reply(json.dumps(answers[what[0] if what else "revision"]).encode())

    def reply(self, content: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is in `hub.asked`."""


def _ref(name: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/heads/{name}", "targetCommit": COMMIT}
