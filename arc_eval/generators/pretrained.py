"""Models of other libraries: from a folder or the Hugging Face hub, and what decides their weights."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from arc_eval.errors import CheckpointError
from arc_eval.models.hub_errors import Asked, absent_offline, translated
from arc_eval.seeding import initial_weights
from arc_eval.store import digest_of, file_digest


@dataclass(frozen=True)
class Pretrained:
    """Weights as they were named, and the folder in which they lie on this machine."""

    name: str
    folder: Path
    commit: str | None
    """Of the repository they came from; a folder has none."""

    def identity(self) -> Mapping[str, str]:
        """What decides the weights: a repository's commit, or the content of a folder wherever it lies."""
        if self.commit is not None:
            return {"model": self.name, "commit": self.commit}
        names = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
        return {"files": digest_of({name.as_posix(): file_digest(self.folder / name) for name in shown})}


def pretrained(name: str, revision: str | None, fetch: Callable[[], Path]) -> Pretrained:
    """A folder as it is, or what `fetch` brings: a repository's snapshot, in a folder named by its commit.

    Raises CheckpointError if there is neither, with what to do.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise CheckpointError(f"{name}: a folder has no `revision`; leave it out")
        return Pretrained(name, folder, None)
    if folder.is_absolute() or name.startswith("."):
        raise CheckpointError(f"{name}: no such folder; is `model` right?")
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = Asked(name, "", revision)
    try:
        with translated(asked, but=LocalEntryNotFoundError):
            snapshot = fetch()
    except LocalEntryNotFoundError as error:  # raised as it is only where nobody tried to connect
        raise CheckpointError(f"{asked}: {absent_offline(asked)}") from error
    return Pretrained(name, snapshot, snapshot.name)


@contextmanager
def loading(name: str, extra: str) -> Iterator[None]:
    """What goes wrong inside becomes a CheckpointError; `extra` is what installs a missing package.

    Libraries initialise networks before they fill them: the process's random stream is left alone.
    """
    try:
        with initial_weights(0):
            yield
    except ImportError as error:
        raise CheckpointError(
            f"{name}: a package is not installed: pip install 'arc_eval[{extra}]' ({_first(error)})"
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{name}: cannot be loaded: {_first(error)}; are its files whole, and is it a model of this kind?"
        ) from error


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def without_bars(*libraries: Any) -> Iterator[None]:
    """Inside, the loading bars of `diffusers` or `transformers` stay away: only the command line draws."""
    logs = [library.utils.logging for library in libraries]
    shown = [log for log in logs if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()
