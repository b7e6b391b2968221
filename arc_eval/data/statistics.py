"""Statistics of recordings that somebody else has, from a file that `arc-eval reference` wrote.

It stands as a suite's `reference` or `recordings` in the place of the audio. What needs only mean and
covariance, or a recording's labels, is measured as if the audio were there; what needs more says so.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from arc_eval import contracts
from arc_eval.errors import AudioError, NotComparableError
from arc_eval.records.missing import Missing
from arc_eval.records.prompt import Prompt
from arc_eval.records.summary import Summary
from arc_eval.summaries import read_summaries


class Settings(contracts.Settings):
    """`{kind: statistics, path: audiocaps.safetensors}`."""

    path: Path

    def build(self) -> "Statistics":
        """Reads the file. Raises DataError if it is absent, damaged or something else."""
        return Statistics(self)


class Statistics:
    """A data source of neither prompts nor audio."""

    sample_rate = 44100

    def __init__(self, settings: Settings) -> None:
        self.path = settings.path
        self._content = read_summaries(settings.path)
        self.remarks = self._content.remarks

    def prompts(self) -> Sequence[Prompt]:
        """None."""
        return ()

    def takes(self) -> int:
        """0: there is no audio."""
        return 0

    def audio(self, prompt_id: str, take: int = 0) -> Tensor:
        """Raises AudioError."""
        raise AudioError(f"{self.path}: statistics of recordings, not the recordings")

    def missing(self) -> Missing | None:
        """What the set that was described had been declared to do without."""
        return self._content.missing

    def identity(self) -> Mapping[str, str]:
        """Of the set that was described: the same as if its audio were here."""
        return self._content.identity

    def summary(self, extractor: str, kind: str, fingerprint: Mapping[str, str]) -> Summary | None:
        """What an extractor said; None if none of its kind was asked.

        extractor: its name in the suite, by which one of several is meant. Raises NotComparableError, with
        the fields that differ, if those of its kind listened otherwise.
        """
        known = self._content.by_extractor
        alike = {name: one for name, one in known.items() if one.kind == kind}
        for one in alike.values():
            if dict(one.fingerprint) == dict(fingerprint):
                return one
        if not alike:
            return None
        nearest = alike.get(extractor) or min(
            alike.values(), key=lambda one: len(_differing(one, fingerprint))
        )
        fields = _differing(nearest, fingerprint)
        raise NotComparableError(
            f"{self.path}: {extractor} listens otherwise than the statistics were made: "
            + "; ".join(f"{name}: {theirs!r} there, {ours!r} here" for name, (theirs, ours) in fields.items())
        )


def _differing(one: Summary, fingerprint: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names = sorted(one.fingerprint.keys() | fingerprint.keys())
    pairs = {name: (one.fingerprint.get(name, "absent"), fingerprint.get(name, "absent")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
