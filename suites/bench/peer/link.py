"""A driver and its workers: one JSON line for each request, one for each answer, over the worker's pipes.

A worker says `{"ready": FACTS}` once it has loaded. Then `{...}` is answered by `{"done": ...}`. What its
libraries print goes to its log, never between the answers.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
DECIDING = (
    "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH", "PYTORCH_", "ENABLE_TORCH_COMPILE",
    "MALLOC_", "GLIBC_", "LD_", "PYTHON",
)  # fmt: skip
"""How the names of variables begin that would change what is timed; no worker inherits one."""


class WorkerError(RuntimeError):
    """A worker that ended before it answered."""


class Worker:
    """A process that has loaded one system and runs it when asked."""

    def __init__(
        self, python: Path, module: str, arguments: Sequence[str], variables: Mapping[str, str], log: Path
    ) -> None:
        """Starts it and waits until it has loaded. Raises WorkerError with its log's end if it cannot."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(DECIDING)}
        self._log = log
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [str(python), "-m", module, *arguments],
                cwd=HERE,
                env={**inherited, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        self.facts: dict[str, Any] = self._answer()["ready"]

    def ask(self, **request: object) -> dict[str, Any]:
        """Sends a request and waits for its answer. Raises WorkerError if the worker ends instead."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: said below, with what it left in its log
        done: dict[str, Any] = self._answer()["done"]
        return done

    def close(self) -> None:
        """Lets it end: no more requests will come."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            end = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-20:])
            raise WorkerError(f"the worker {self._process.args!r} ended with code {code}:\n{end}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve(load: Callable[[], tuple[Mapping[str, object], Callable[..., Mapping[str, object]]]]) -> None:
    """A worker's whole life: `load` gives what to say of itself and what answers a request."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    facts, call = load()
    _say(answers.write, answers.flush, {"ready": facts})
    for line in sys.stdin:
        _say(answers.write, answers.flush, {"done": call(**json.loads(line))})


def _say(write: Callable[[str], object], flush: Callable[[], object], answer: Mapping[str, object]) -> None:
    write(json.dumps(answer) + "\n")
    flush()
