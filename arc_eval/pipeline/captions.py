"""Recordings with several captions: each is heard once, and its rows are every caption's."""

from collections.abc import Sequence

from arc_eval.pipeline.extract import Described
from arc_eval.pipeline.items import Item
from arc_eval.records.embedding import Embedding
from arc_eval.store import digest_of


def firsts(items: Sequence[Item]) -> list[Item]:
    """The first item of each content, in order."""
    found: dict[str, Item] = {}
    for item in items:
        found.setdefault(digest_of(item.origin), item)
    return list(found.values())


def shared(heard: Described, items: Sequence[Item]) -> Described:
    """What was said of the `firsts` of these items as said of all of them."""
    owners = {digest_of(item.origin): item.owner for item in reversed(items)}
    first = {item.owner: owners[digest_of(item.origin)] for item in items}
    if len(owners) == len(items):
        return heard
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(heard.rows.owners):
        places.setdefault(owner, []).append(place)
    own = {item.owner: places.get(first[item.owner], []) for item in items}
    rows = Embedding(
        heard.rows.values[[place for found in own.values() for place in found]],
        tuple(owner for owner, found in own.items() for _ in found),
        heard.rows.fingerprint,
    )
    lost = {owner: heard.lost[other] for owner, other in first.items() if other in heard.lost}
    return Described(rows, digest_of([heard.digest, list(first.items())]), lost, heard.labels)
