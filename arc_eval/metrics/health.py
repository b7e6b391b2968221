"""Signal health: what is wrong with the sound itself, whatever it should be. Means over clips.

Reads the columns of an extractor that names them in its fingerprint, such as `health`.
"""

from dataclasses import dataclass

from torch import Tensor

from arc_eval.contracts import Evidence
from arc_eval.errors import IncompleteError
from arc_eval.metrics import evidence as shared
from arc_eval.metrics.evidence import clip_means, mean_measurement, rows
from arc_eval.records.measurement import Direction, Measurement
from arc_eval.stats import mean_interval, share_interval

FINDINGS: dict[str, tuple[str, str, Direction]] = {
    "level": ("rms_db", "dBFS", "target"),
    "peak": ("peak", "", "none"),
    "crest": ("crest_db", "dB", "target"),
    "clipped": ("clipping", "share", "lower"),
    "quiet": ("silence", "share", "target"),
    "silent": ("empty", "share", "lower"),
    "nan": ("nan", "share", "lower"),
    "offset": ("dc", "", "lower"),
    "stereo": ("correlation", "", "target"),
}
"""Result to its column, unit and direction. A plucked string is rightly quiet for most of its clip, so
the recordings say how quiet is right; a clip that is silent throughout is wrong."""


@dataclass(frozen=True)
class Health:
    """`level[extractor]`, `clipped[...]`, `silent[...]` and the other FINDINGS."""

    extractor: str

    @property
    def name(self) -> str:
        return f"health[{self.extractor}]"

    def measure(self, evidence: Evidence) -> list[Measurement]:
        """One Measurement for each of the FINDINGS; intervals over prompts.

        Raises IncompleteError if the extractor's columns are not named or one is missing.
        """
        described = clip_means(rows(evidence.generated, self.extractor, "generated clips"))
        columns = evidence.generated[self.extractor].fingerprint.get("columns", "").split(",")
        missing = sorted({column for column, _, _ in FINDINGS.values()} - set(columns))
        if missing:
            raise IncompleteError(f"{self.name}: {self.extractor!r} has no column {', '.join(missing)}")

        def mean_of(finding: str) -> Measurement:
            column, unit, direction = FINDINGS[finding]
            values: Tensor = described.values[:, columns.index(column)]
            # A share that is 0 or 1 in every clip is a share of clips: none seen is not none possible.
            whole = unit == "share" and bool(((values == 0) | (values == 1)).all())
            return mean_measurement(
                f"{finding}[{self.extractor}]",
                dict(zip(described.owners, values.tolist(), strict=True)),
                unit,
                direction,
                evidence,
                share_interval if whole else mean_interval,
            )

        return [mean_of(finding) for finding in FINDINGS]


class Settings(shared.Settings):
    """`{kind: health, extractor: NAME}`."""

    def build(self) -> Health:
        """The metric of these settings."""
        return Health(self.extractor)
