"""What is no model: recordings of the prompts (the ceiling), the same under wrong captions (the floor).

They pass through the same store, extractors and metrics as every model, so a metric that cannot
tell them apart is seen to be blind.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from arc_eval.code import code_digest
from arc_eval.contracts import DataSource, Settings
from arc_eval.errors import AudioError, DataError
from arc_eval.records.prompt import Prompt
from arc_eval.seeding import hashed_seed
from arc_eval.suite import Part


class HeldOut(Settings):
    """Recordings of a data source; `stand_ins` names the prompt whose recordings a prompt is given."""

    data: Part
    stand_ins: tuple[tuple[str, str], ...] = ()

    def build(self) -> "Recordings":
        """The recordings. Raises DataError if the source is a list of prompts alone."""
        return Recordings(self.data.build(), dict(self.stand_ins))


class Recordings:
    """A data source's recordings as a system's clips."""

    def __init__(self, source: DataSource, stand_ins: Mapping[str, str]) -> None:
        if not source.takes():
            raise DataError(
                "the prompts have no recordings, so there is no ceiling and no floor; remove `controls` "
                "or name a data source with audio"
            )
        self.sample_rate = source.sample_rate
        self._source = source
        self._stand_ins = stand_ins
        self._units = {prompt.id: prompt.unit for prompt in source.prompts()}
        self._identity = {**source.identity(), "code": code_digest(source)}

    def origin(self, prompt: Prompt, take: int) -> Mapping[str, str]:
        """The source and the recording's name in it. Raises AudioError if the source does not know it."""
        name = self._named(prompt)
        if name not in self._units:
            raise AudioError(f"{name}: the source of recordings has none of this prompt")
        return {**self._identity, "id": self._units[name], "take": str(take)}

    def recording(self, prompt: Prompt, take: int) -> Tensor:
        """float32[channel, time]. Raises AudioError if it cannot be read."""
        return self._source.audio(self._named(prompt), take)

    def identity(self) -> Mapping[str, str]:
        """The source, and whether its recordings were exchanged."""
        return {**self._identity, "captions": "exchanged" if self._stand_ins else "their own"}

    def _named(self, prompt: Prompt) -> str:
        return self._stand_ins.get(prompt.id, prompt.id)


def exchanged(prompts: Sequence[Prompt], seed: int) -> dict[str, str]:
    """Each prompt's stand-in: one that shares no tag, caption or recording with it, each used once.

    Where not all can have one, as many as possible do and the others get any prompt but themselves.
    The same prompts and seed give the same exchange. Raises DataError for fewer than two prompts.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if len(prompts) < 2:
        raise DataError(
            "the floor exchanges captions among prompts, and there is 1; take more, or remove `controls`"
        )
    order = list(range(len(prompts)))
    random.Random(hashed_seed("exchanged", seed)).shuffle(order)
    foreign = _share_nothing([prompts[place] for place in order])
    matched = maximum_bipartite_matching(csr_matrix(foreign), perm_type="column").tolist()
    left = sorted(set(range(len(order))) - set(matched))
    for place, partner in enumerate(matched):
        if partner < 0:
            matched[place] = next((free for free in left if free != place), left[0])
            left.remove(matched[place])
    for place in [place for place, partner in enumerate(matched) if place == partner]:
        other = (place + 1) % len(matched)
        matched[place], matched[other] = matched[other], matched[place]
    return {prompts[order[a]].id: prompts[order[b]].id for a, b in enumerate(matched)}


def _share_nothing(prompts: Sequence[Prompt]) -> NDArray[np.bool_]:
    """bool[prompt, other prompt]."""
    texts, units = (_numbered(names) for names in zip(*((p.text, p.unit) for p in prompts), strict=True))
    foreign: NDArray[np.bool_] = (texts[:, None] != texts) & (units[:, None] != units)
    for tag in {tag for prompt in prompts for tag in prompt.tags}:
        tagged = np.array([tag in prompt.tags for prompt in prompts])
        foreign[np.ix_(tagged, tagged)] = False
    return foreign


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """int64[name], equal where the names are."""
    number = {name: index for index, name in enumerate(names)}
    return np.array([number[name] for name in names])
