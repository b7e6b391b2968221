"""A program kept alive and asked by lines: one JSON object in on its stdin, one out on its stdout.

It runs in a process group of its own, so Ctrl-C reaches this package first, and is asked to end by the
end of its stdin. One that breaks the protocol is ended, and started anew when it is asked again.
"""

import json
import logging
import os
import queue
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from arc_eval.errors import DataError, IncompleteError

log = logging.getLogger(__name__)

LAST_LINES = 5
"""How many lines of stderr an error message repeats."""

GRACE = 5.0
"""Seconds that a program has to end by itself once its stdin has ended."""

GLANCE = 0.2
"""Seconds between two looks at whether it still lives: a child of its own may hold its stdout open."""


class Program:
    """A command that answers lines; its process starts with the first question and ends with this object."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None) -> None:
        self._command = list(command)
        self._env = {**os.environ, **env}
        self._cwd = cwd
        self._process: _Process | None = None

    def ask(self, question: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """The JSON object that the program answers.

        Raises IncompleteError if it dies, answers something else or takes longer than `timeout` seconds,
        DataError if it cannot be started.
        """
        if self._process is None:
            self._process = _Process(self._command, self._env, self._cwd)
        try:
            return self._process.ask(question, timeout)
        except BaseException:  # an interrupt as well: its late answer must not pass for the next one's
            self.stop()
            raise

    def stop(self) -> None:
        """Kills the process, if one runs, with all that it started. The next question starts another."""
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Process:
    """One life of a program: its process and the two threads that listen to it."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path | None) -> None:
        self._name = Path(command[0]).name
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise DataError(f"{command[0]}: cannot be started: {error.strerror or error}") from error
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._listen(_pass_on, self._popen.stdout, self._lines)
        self._complaints = self._listen(_remember, self._popen.stderr, self._said)
        # Also at the exit of the interpreter. It must hold no reference to this object.
        self._finalizer = weakref.finalize(self, _end, self._popen, GRACE)

    @staticmethod
    def _listen(heard: Any, *args: Any) -> threading.Thread:
        thread = threading.Thread(target=heard, args=args, daemon=True)
        thread.start()
        return thread

    def ask(self, question: Mapping[str, object], timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        stdin = self._popen.stdin
        assert stdin is not None
        with suppress(OSError):  # it may be gone: listening finds out
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        while True:
            line = self._next_line(deadline, timeout)
            answer = _object(line)
            if answer is not None:
                return answer
            log.info("%s: %s", self._name, line.decode(errors="replace").rstrip())

    def _next_line(self, deadline: float, timeout: float) -> bytes:
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=min(left, GLANCE))
            except queue.Empty:
                if self._popen.poll() is None or not self._lines.empty():
                    continue
                line = None
            if line is None:
                raise IncompleteError(self._ending())
            return line
        raise IncompleteError(
            f"{self._name}: no answer within {timeout:g} s (`timeout`); it was ended{self._last_words()}"
        )

    def _ending(self) -> str:
        """How the process came to an end, in words."""
        try:
            code = self._popen.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return f"{self._name}: closed its stdout without an answer{self._last_words()}"
        self._complaints.join(timeout=1)
        if code >= 0:
            return f"{self._name}: ended with exit code {code} before it answered{self._last_words()}"
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"{self._name}: killed by {_signal(-code)}{hint} before it answered{self._last_words()}"

    def _last_words(self) -> str:
        said = [line for line in self._said if line]
        return f"; its stderr ends: {' | '.join(said)}" if said else ""

    def kill(self) -> None:
        """Ends the process and its group at once."""
        self._finalizer.detach()
        _end(self._popen, 0)


def _object(line: bytes) -> dict[str, Any] | None:
    """A line as a JSON object, or None: programs print all sorts of things."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pass_on(stream: IO[bytes], lines: "queue.SimpleQueue[bytes | None]") -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _remember(stream: IO[bytes], said: deque[str]) -> None:
    with stream:
        for line in stream:
            said.append(line.decode(errors="replace").rstrip())


def _end(popen: "subprocess.Popen[bytes]", grace: float) -> None:
    """Ends a program: its stdin ends, it has `grace` seconds, then its group is killed. Leaves no zombie."""
    if popen.stdin is not None:
        with suppress(OSError):
            popen.stdin.close()
    if grace:
        with suppress(subprocess.TimeoutExpired):
            popen.wait(timeout=grace)
    # The group may outlive its leader: what the program started is ended with it.
    with suppress(OSError):
        os.killpg(popen.pid, signal.SIGKILL) if hasattr(os, "killpg") else popen.kill()
    popen.wait()
