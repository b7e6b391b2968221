"""A clip on disk: 24-bit FLAC in the store, beside the facts that tables list.

What is measured is always read back from the file, so a clip is the same on its first day and on
every later one. A clip exists once its facts do; they name the digest of the file they describe.
"""

import logging
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

from torch import Tensor

from arc_eval import registry
from arc_eval.contracts import Extractor
from arc_eval.dsp import read_audio, samples_digest, write_audio
from arc_eval.errors import AudioError
from arc_eval.records.audio import AudioBatch
from arc_eval.store import Store, file_digest, publish

KIND = "clips"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """What a table says of a clip; `clipping` and `silence` are shares, `rms_db` is dB below full scale."""

    seconds: float
    peak: float
    rms_db: float
    clipping: float
    silence: float
    nan: float


@dataclass(frozen=True)
class StoredClip:
    """A published clip; `digest` is of its samples and rate, whatever file they lie in."""

    key: str
    path: Path
    digest: str
    facts: Facts

    def read(self) -> tuple[Tensor, int]:
        """float32[channel, time] and its sample rate."""
        return read_audio(self.path)


def keep_clip(store: Store, key: str, samples: Tensor, sample_rate: int) -> StoredClip:
    """Publishes float32[channel, time] under a key.

    Raises AudioError for a clip that is empty or holds what is not a number, StoreError if the disk
    refuses.
    """
    if not samples.numel():
        raise AudioError("the clip is empty: 0 samples")
    broken = int((~samples.isfinite()).sum())
    if broken:
        raise AudioError(f"{broken} of {samples.numel()} samples are not finite numbers")
    path = store.path(KIND, key, ".flac")
    publish(path, partial(_write, samples, sample_rate))
    stored, rate = read_audio(path)
    facts = _facts(stored, rate)
    digest = samples_digest(stored, rate)
    store.write(KIND, key, {"file": file_digest(path), "digest": digest, "facts": asdict(facts)})
    return StoredClip(key, path, digest, facts)


def find_clip(store: Store, key: str) -> StoredClip | None:
    """The clip under a key; None if there is none or its file was damaged, which is said."""
    entry = store.read(KIND, key)
    if entry is None:
        return None
    path = store.path(KIND, key, ".flac")
    if not path.is_file() or file_digest(path) != entry["file"]:
        store.drop(path)
        return None
    return StoredClip(key, path, entry["digest"], Facts(**entry["facts"]))


def _write(samples: Tensor, sample_rate: int, path: Path) -> None:
    """As `write_audio`, but a disk that refuses is the disk's error: it must not pass for a bad clip."""
    try:
        write_audio(path, samples, sample_rate)
    except AudioError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        raise


@cache
def _health() -> tuple[Extractor, tuple[str, ...]]:
    extractor = registry.settings("extractors", {"kind": "health"}, "clips").build()
    return extractor, tuple(extractor.fingerprint()["columns"].split(","))


def _facts(samples: Tensor, sample_rate: int) -> Facts:
    extractor, columns = _health()
    row = extractor.embed(AudioBatch.of([samples], sample_rate))[0][0].tolist()
    known = dict(zip(columns, row, strict=True))
    return Facts(
        seconds=samples.shape[-1] / sample_rate,
        **{name: known[name] for name in ("peak", "rms_db", "clipping", "silence", "nan")},
    )
