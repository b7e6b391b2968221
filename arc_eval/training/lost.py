"""Recordings that cannot be trained on: named one by one, counted, and refused beyond a recipe's share."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from arc_eval.errors import TrainingError
from arc_eval.store import publish_bytes

log = logging.getLogger(__name__)

LIST = "lost.json"
SHOWN = 20


@dataclass(frozen=True)
class Lost:
    """A recording by its prompt's id and take; the reason names the file, if it was one."""

    recording: str
    take: int
    reason: str


def settle(lost: Sequence[Lost], recordings: int, max_lost: float, folder: Path) -> None:
    """Warns of each, lists all in the folder's `lost.json`, and raises TrainingError if they are too many.

    recordings: how many there were to read; max_lost: the share of them that may be lost, below 1.
    """
    path = folder / LIST
    if not lost:
        path.unlink(missing_ok=True)
        return
    for one in lost:
        log.warning("not trained on: %s: %s", one.recording, one.reason)
    publish_bytes(path, json.dumps([asdict(one) for one in lost], indent=1).encode())
    share = len(lost) / recordings
    if share <= max_lost:
        return
    shown = "\n".join(f"  {one.recording}: {one.reason}" for one in lost[:SHOWN])
    more = f"\n  and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    allow = (
        f"go on without them by --set max_lost={math.ceil(100 * share) / 100:g}"
        if share <= 0.99
        else "check that this is the right data"
    )
    raise TrainingError(
        f"{len(lost)} of {recordings} recordings cannot be trained on:\n{shown}{more}\n"
        f"({path} lists them all.) Mend them or take them out of the list, or {allow}; "
        f"what was encoded is kept. If the disk was at fault and not the files, delete {folder} first"
    )
