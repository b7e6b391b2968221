"""What can go wrong between us and the Hugging Face hub, said with what, where and what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from arc_eval.errors import CheckpointError, suggest
from arc_eval.models.artefacts import HUB, catalogue

LOGIN = "run `hf auth login` or set HF_TOKEN to an access token"


@dataclass(frozen=True)
class Asked:
    """What was asked of the hub; without `name`, the repository as a whole."""

    repo: str
    name: str = ""
    revision: str | None = None

    def __post_init__(self) -> None:
        if self.name.startswith("/") or ".." in self.name.split("/"):
            raise CheckpointError(f"{self}: no file of a repository; a path inside it is needed")

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return "/".join(filter(None, [f"hf://{self.repo}{revision}", self.name]))

    @property
    def page(self) -> str:
        """Where a person looks the repository up."""
        return f"{HUB}/{self.repo}"

    @property
    def command(self) -> str:
        """What downloads it: with all that belongs to it, if the catalogue knows it."""
        for artefact, known in catalogue().items():
            wanted = known.has(self.name) if self.name else bool(known.patterns)
            if wanted and (known.repo, known.revision) == (self.repo, self.revision):
                return f"arc-eval weights fetch {artefact}"
        revision = f" --revision {self.revision}" if self.revision else ""
        return " ".join(filter(None, ["hf download", self.repo, self.name])) + revision

    @property
    def folder(self) -> str:
        """Its folder in every cache."""
        return f"models--{self.repo.replace('/', '--')}"


def need_hub() -> None:
    """Raises CheckpointError where huggingface_hub is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise CheckpointError(
            "models of the Hugging Face hub need the package huggingface_hub: pip install 'arc_eval[models]'"
        ) from error


@contextmanager
def translated(asked: Asked, but: type[Exception] | None = None) -> Iterator[None]:
    """Raises what the hub, or a library that asks it, raises inside as CheckpointError; save `but`.

    transformers and diffusers wrap the hub's errors in their own: the cause is looked for behind them.
    """
    need_hub()
    errors: Any = import_module("huggingface_hub.errors")
    try:
        yield
    except (errors.HTTPError, errors.HFValidationError, OSError) as error:
        if but is not None and isinstance(error, but):
            raise
        raise CheckpointError(f"{asked}: {_explained(error, asked, errors)}") from error


Say = Callable[[Any, Asked], str]


def _explained(error: BaseException, asked: Asked, errors: Any) -> str:
    """The remedy for the most specific known error among an error and its causes."""
    remedies: list[tuple[type[BaseException], Say]] = [
        (errors.GatedRepoError, _gated),
        (errors.RepositoryNotFoundError, _no_repository),
        (errors.RevisionNotFoundError, _no_revision),
        (errors.RemoteEntryNotFoundError, _no_file),
        (errors.HFValidationError, _no_name),
        (errors.OfflineModeIsEnabled, _offline),
        (errors.FileMetadataError, _no_hub),
        (errors.HfHubHTTPError, _answered),
        (errors.HTTPError, _unreachable),
        (errors.LocalEntryNotFoundError, _unreachable),
        (ConnectionError, _broke_off),
        (OSError, _refused),
    ]
    causes = list(_causes(error))
    return next(say(cause, asked) for kind, say in remedies for cause in causes if isinstance(cause, kind))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _gated(error: Any, asked: Asked) -> str:
    licence = next((known.licence for known in catalogue().values() if known.repo == asked.repo), None)
    terms = f"accept its licence ({licence.name})" if licence else "accept its terms"
    if _token() is None:
        return (
            f"the repository is gated and no access token was sent. In a browser, {terms} at {asked.page}; "
            f"then {LOGIN}, and run the same command again"
        )
    return (
        "the repository is gated and the access token that was sent may not read it. In a browser, with the "
        f"account of that token, {terms} at {asked.page} (a fine-grained token also needs the right to read "
        "gated repositories); for another account `hf auth login` or HF_TOKEN"
    )


def _no_repository(error: Any, asked: Asked) -> str:
    near = suggest(asked.repo, {known.repo for known in catalogue().values() if known.repo})
    return f"there is no such repository, or it is private; {near}. For a private one {LOGIN}"


def _no_revision(error: Any, asked: Asked) -> str:
    near = _near(str(asked.revision), _revisions, asked)
    return f"the repository has no branch, tag or commit {asked.revision!r}; {near}"


def _no_file(error: Any, asked: Asked) -> str:
    return f"the repository has no such file; {_near(asked.name, _files, asked)}"


def _no_name(error: Any, asked: Asked) -> str:
    return f"no name of a repository: it is written owner/name ({str(error).splitlines()[0]})"


def _offline(error: Any, asked: Asked) -> str:
    return absent_offline(asked)


def _no_hub(error: Any, asked: Asked) -> str:
    return (
        f"{_endpoint()} answers, but not as a Hugging Face hub does. Is a proxy in between, "
        "or does HF_ENDPOINT name another server?"
    )


def _answered(error: Any, asked: Asked) -> str:
    status = error.response.status_code
    if status == 401:
        return f"the access token that was sent is not valid (401): {LOGIN} that is"
    if status == 404:  # the hub itself says of what there is none
        return _no_hub(error, asked)
    reason = error.server_message or error.response.reason_phrase
    return f"{_endpoint()} answered {status} {reason}. Try again later; {asked.page} may say more"


def _unreachable(error: Any, asked: Asked) -> str:
    return (
        f"not in the cache {cache_folder()}, and {_endpoint()} cannot be reached ({type(error).__name__}: "
        f"{str(error) or 'no answer'}). Run the same command again when there is a network. {_carried(asked)}"
    )


def _broke_off(error: Any, asked: Asked) -> str:
    return f"the download broke off: {str(error).splitlines()[0]}. Run the same command again"


def _refused(error: Any, asked: Asked) -> str:
    what = error.strerror or str(error).splitlines()[0]
    return f"{what}; can the cache {cache_folder()} be written, is its disk full? HF_HOME names another place"


def absent_offline(asked: Asked) -> str:
    """That nothing is downloaded offline, and how the files come into the cache nevertheless."""
    return (
        f"not in the cache {cache_folder()}, and nothing is downloaded while offline (--offline, "
        f"HF_HUB_OFFLINE or ARC_EVAL_OFFLINE). Run the same command once without it. {_carried(asked)}"
    )


def _carried(asked: Asked) -> str:
    return (
        f"Without a network here: run `{asked.command}` on a machine that has one and copy the folder "
        f"{asked.folder} of its cache (~/.cache/huggingface/hub) into {cache_folder()}"
    )


def _near(name: str, names: Callable[[Asked], list[str]], asked: Asked) -> str:
    errors: Any = import_module("huggingface_hub.errors")
    try:
        known = names(asked)
    except (errors.HTTPError, OSError):  # the hint is not worth a second error
        known = []
    return suggest(name, known) if known else f"{asked.page}/tree/main shows what it has"


def _files(asked: Asked) -> list[str]:
    from huggingface_hub import HfApi

    return HfApi().list_repo_files(asked.repo, revision=asked.revision)


def _revisions(asked: Asked) -> list[str]:
    from huggingface_hub import HfApi

    refs = HfApi().list_repo_refs(asked.repo)
    return [ref.name for ref in (*refs.branches, *refs.tags)]


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def cache_folder() -> str:
    """Where the cache of every program of this machine lies."""
    need_hub()
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT
