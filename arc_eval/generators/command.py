"""Any program as a generator: one JSON line for each clip in, a WAV file out, one process kept alive.

It reads `{"id", "prompt", "seconds", "seed", "sample_rate", "channels", "out"}` from its stdin, writes the
clip to the path `out` and prints `{"out": PATH}`, or `{"error": REASON}` if it has no clip to give. It
ends when its stdin does. What else it prints goes to the log. Seeds are whole numbers below 2**63: a program
with smaller ones takes the remainder.
"""

import json
import shlex
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from torch import Tensor

from arc_eval import contracts
from arc_eval.code import code_digest
from arc_eval.contracts import StageHook, untimed
from arc_eval.dsp import read_audio
from arc_eval.errors import AudioError, DataError, IncompleteError
from arc_eval.generators.asked import paired
from arc_eval.generators.foreign import exactly
from arc_eval.generators.program import Program
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt
from arc_eval.store import file_digest


class Settings(contracts.Settings):
    """`{kind: command, command: ./generate --steps 8, version: "1.2 int8", sample_rate: 44100}`."""

    command: tuple[str, ...] = Field(min_length=1)
    """The words of the command; one string is split as a shell would."""
    version: str = Field(min_length=1)
    """Of program and weights together. Clips are stored under it: another version is another generator."""
    sample_rate: int = Field(gt=0)
    """What its files must have: nothing is resampled."""
    channels: Literal[1, 2] = 2
    files: tuple[Path, ...] = ()
    """Files whose content decides a clip, seen from `cwd`: weights, configuration, modules that a script
    imports. Their content becomes part of the identity; so does that of files that are words of `command`."""
    timeout: float = Field(600, gt=0)
    """Seconds for one clip; the first one's hold the program's start."""
    env: Mapping[str, str] = {}
    """Variables added to this process's own; part of the identity."""
    cwd: Path | None = None
    """The folder to run in. Default: this process's."""

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, command: Any) -> Any:
        return tuple(shlex.split(command)) if isinstance(command, str) else command

    def build(self) -> "Command":
        """The generator; its process starts with the first clip.

        Raises DataError if the program, the folder or one of `files` is not there.
        """
        if self.cwd is not None and not self.cwd.is_dir():
            raise DataError(f"{self.cwd}: no such folder; is `cwd` right?")
        if self.program is None:
            raise DataError(f"{self.command[0]}: no such program, or not executable; is `command` right?")
        for file in self.files:
            if not (self.folder / file).is_file():
                raise DataError(f"{self.folder / file}: no such file; is `files` right?")
        return Command(self)

    @property
    def folder(self) -> Path:
        """Where the program runs, and from where its relative paths and those of `files` are seen."""
        return (self.cwd or Path()).absolute()

    @property
    def program(self) -> Path | None:
        """The file that the first word starts; None if there is none."""
        word = self.command[0]
        seen = word if Path(word).name == word else str(self.folder / word)
        found = shutil.which(seen, path=self.env.get("PATH"))
        return Path(found) if found else None


class Command:
    """A program behind the generator's interface. Clips go through it one by one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sample_rate = settings.sample_rate
        self._name = Path(settings.command[0]).name
        self._program = Program(settings.command, settings.env, settings.cwd)

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        """One clip for each prompt and seed, cut to the prompt's length.

        Raises IncompleteError if the program has no clip to give, dies, hangs or answers something else,
        AudioError if its file is missing, damaged, too short or of another rate or channel count.
        """
        return AudioBatch.of([self._clip(*asked) for asked in paired(prompts, seeds)], self.sample_rate)

    def _clip(self, prompt: Prompt, seed: int) -> Tensor:
        out = self._folder / f"{seed:016x}.wav"
        try:
            self._ask(prompt, seed, out)
            return self._read(prompt, out)
        finally:
            out.unlink(missing_ok=True)

    def _ask(self, prompt: Prompt, seed: int, out: Path) -> None:
        question = {
            "id": prompt.id,
            "prompt": prompt.text,
            "seconds": prompt.seconds,
            "seed": seed,
            "sample_rate": self.sample_rate,
            "channels": self.settings.channels,
            "out": str(out),
        }
        answer = self._program.ask(question, self.settings.timeout)
        if answer.get("error"):
            raise IncompleteError(f"{prompt.id}: {self._name}: {answer['error']}")
        if answer.get("out") != str(out):
            self._program.stop()  # whose answer that was is not known: the next must not be mistaken
            given = json.dumps(answer)[:200]
            raise IncompleteError(
                f'{prompt.id}: {self._name} answered {given}; it should answer {{"out": PATH}} with the path '
                'it was given, or {"error": REASON}'
            )

    def _read(self, prompt: Prompt, out: Path) -> Tensor:
        where = f"{prompt.id}: {self._name}"
        if not out.is_file():
            raise AudioError(f"{where} said that the clip is written, but there is no file at `out`")
        try:
            clip, rate = read_audio(out)
        except AudioError as error:
            raise AudioError(f"{where}: its file: {str(error).removeprefix(f'{out}: ')}") from None
        if rate != self.sample_rate:
            raise AudioError(f"{where}: its file has {rate} Hz, `sample_rate` says {self.sample_rate}")
        if len(clip) != self.settings.channels:
            raise AudioError(f"{where}: its file has {len(clip)} channels, not {self.settings.channels}")
        return exactly(clip, prompt, rate, where)

    @cached_property
    def _folder(self) -> Path:
        """Where the program writes; removed with this object, at the latest when the interpreter exits."""
        folder = Path(tempfile.mkdtemp(prefix="arc_eval-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def identity(self) -> Mapping[str, str]:
        """The command, its files by content, version, environment, rate, channels and code."""
        settings = self.settings
        return {
            "command": json.dumps([self._program_word(), *map(self._word, settings.command[1:])]),
            "version": settings.version,
            "env": json.dumps(dict(settings.env), sort_keys=True),
            "files": json.dumps([file_digest(settings.folder / file) for file in settings.files]),
            "sample_rate": str(self.sample_rate),
            "channels": str(settings.channels),
            "code": code_digest(self),
        }

    def _program_word(self) -> str | list[str]:
        """A program of this machine is its name alone: which one that is, `version` says."""
        word, program = self.settings.command[0], self.settings.program
        ours = Path(word).name != word or (program and program.is_relative_to(self.settings.folder))
        return _content(program) if program and ours else word

    def _word(self, word: str) -> str | list[str]:
        path = self.settings.folder / word
        return _content(path) if _is_file(path) else word


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a whole program after `-c` is too long to be a name
        return False


def _content(path: Path) -> list[str]:
    """Of a file that the command names: its content and name, wherever it lies."""
    try:
        return [path.name, file_digest(path)]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; is `command` right?") from error
