"""Files of Hugging Face repositories: from the local cache when they lie there, else downloaded.

A cached file is used as it is, so that a second run reads what the first one read. Offline (`--offline`,
HF_HUB_OFFLINE=1 or ARC_EVAL_OFFLINE=1) no connection is ever opened. The cache is the one that every
program of this machine shares: HF_HUB_CACHE, or `hub` in HF_HOME (~/.cache/huggingface).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from arc_eval.errors import CheckpointError
from arc_eval.models.hub_errors import Asked, absent_offline, need_hub, translated
from arc_eval.models.offline import offline

PATIENCE = 10.0
"""Seconds to wait for the hub's first answer."""


def hub_file(repo: str, name: str, revision: str | None = None) -> Path:
    """The local copy of one file; `revision` is a branch, a tag or a commit (None: main).

    Raises CheckpointError with what to do: huggingface_hub is missing, the repository is gated, there is
    no such repository, revision or file, no network, offline and not cached, no room on the disk.
    """
    asked = Asked(repo, name, revision)
    found = cached_file(repo, name, revision)
    if found is not None:
        return found
    if offline():
        raise CheckpointError(f"{asked}: {absent_offline(asked)}")
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    with translated(asked), _broken_connections():
        # Asked once without retries first: hf_hub_download repeats itself for minutes without a network.
        get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=PATIENCE)
        return Path(hf_hub_download(repo, name, revision=revision, etag_timeout=PATIENCE))


def hub_folder(repo: str, patterns: Sequence[str], revision: str | None = None) -> Path:
    """The local copy of a repository's files that match a glob pattern, as one folder.

    Raises CheckpointError like `hub_file`.
    """
    asked = Asked(repo, "", revision)
    found = cached_folder(repo, patterns, revision)
    if found is not None and (offline() or _listed(repo, revision)):
        return found
    if offline():
        raise CheckpointError(f"{asked}: {absent_offline(asked)}")
    from huggingface_hub import HfApi, snapshot_download

    with translated(asked), _broken_connections():
        HfApi().model_info(repo, revision=revision, timeout=PATIENCE)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns)))


def _listed(repo: str, revision: str | None) -> bool:
    """Whether the cache knows all files of a repository: only then can it tell that none is missing."""
    import huggingface_hub

    listing = getattr(huggingface_hub, "get_cached_repo_tree", None)
    if listing is None:  # an older huggingface_hub: the hub is asked every time
        return False
    try:
        return bool(listing(repo, revision=revision))
    except huggingface_hub.errors.CachedRepoTreeNotFoundError:
        return False


@contextmanager
def _broken_connections() -> Iterator[None]:
    """The hub's fast transport (hf_xet) says RuntimeError when it loses the network."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(str(error)) from error


def cached_file(repo: str, name: str, revision: str | None = None) -> Path | None:
    """Where a file lies in the cache; None if it does not. Never dials out."""
    need_hub()
    from huggingface_hub import constants, try_to_load_from_cache

    with translated(Asked(repo, name, revision)):
        found = try_to_load_from_cache(repo, name, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    return Path(found) if isinstance(found, str) else None


def cached_folder(repo: str, patterns: Sequence[str], revision: str | None = None) -> Path | None:
    """Where the matching files lie in the cache; None if one is known to be missing. Never dials out."""
    need_hub()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with translated(Asked(repo, "", revision), but=LocalEntryNotFoundError):
            found = snapshot_download(
                repo, revision=revision, allow_patterns=list(patterns), local_files_only=True
            )
    except LocalEntryNotFoundError:
        return None
    return Path(found)
