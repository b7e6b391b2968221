"""Clips before extractors: one decode serves all of them, in order, ahead of the networks."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from arc_eval.contracts import Hearing
from arc_eval.dsp import resample
from arc_eval.errors import AudioError, StoreError
from arc_eval.extractors.mel import Mel
from arc_eval.pipeline import hearing
from arc_eval.pipeline.hearing import ahead, heard_by, prefetched
from arc_eval.pipeline.items import Item
from arc_eval.records.audio import AudioBatch

RATE = 22050


@dataclass(frozen=True)
class Sound:
    """Noise of its own, or an error, in place of a file."""

    seed: int
    reads: Counter[int] = field(default_factory=Counter)
    error: Exception | None = None

    def read(self) -> tuple[Tensor, int]:
        self.reads[self.seed] += 1
        if self.error:
            raise self.error
        stream = torch.Generator().manual_seed(self.seed)
        return 0.1 * torch.randn(2, RATE // 4 + 10 * self.seed, generator=stream), RATE


class Loudness:
    """An extractor in two steps: each channel's mean square, at its own rate."""

    sample_rate = None

    def hear(self, samples: Tensor, sample_rate: int) -> Tensor:
        if samples.shape[-1] == RATE // 4:
            raise AudioError("too plain to be heard")
        return samples.square().mean(1)

    def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
        return list(torch.stack(list(heard))[:, None])

    def embed(self, audio: AudioBatch) -> list[Tensor]:
        return self.rows([self.hear(clip, audio.sample_rate) for clip in audio])

    def fingerprint(self) -> dict[str, str]:
        return {}


def items(count: int, **changes: Any) -> list[Item]:
    reads: Counter[int] = Counter()
    return [Item(f"clip {n}", {}, Sound(n, reads, **changes)) for n in range(1, count + 1)]


def test_networks_run_with_exact_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    switches: list[bool] = []

    class Noting(Loudness):
        def rows(self, heard: Sequence[Tensor]) -> list[Tensor]:
            switches.append(torch.backends.cudnn.allow_tf32)
            return super().rows(heard)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    heard_by([Noting()], items(3), 1)  # type: ignore[list-item]
    assert switches and not any(switches)
    assert torch.backends.cudnn.allow_tf32


def test_one_decode_serves_every_extractor_and_rows_are_those_of_embed() -> None:
    sounds, extractors = items(7), [Mel(), Loudness(), Mel()]
    assert isinstance(extractors[1], Hearing) and not isinstance(extractors[0], Hearing)
    described = heard_by(extractors, sounds, 1)  # type: ignore[arg-type]
    (first, *_) = sounds
    assert isinstance(first.audio, Sound) and set(first.audio.reads.values()) == {1}
    for place, item in enumerate(sounds):
        samples, rate = item.audio.read()
        at_44100 = AudioBatch.of([resample(samples, rate, 44100)], 44100)
        assert torch.equal(described[0][place][0], Mel().embed(at_44100)[0])
        assert torch.equal(described[1][place][0], Loudness().embed(AudioBatch.of([samples], rate))[0])
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(described[0], described[2], strict=True))


@pytest.mark.parametrize("threads", [1, 4])
def test_neither_threads_nor_the_size_of_groups_change_anything(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = heard_by([Loudness(), Mel()], items(9), 1)
    monkeypatch.setattr(hearing, "TOGETHER", 5)
    grouped = heard_by([Loudness(), Mel()], items(9), threads)
    for ours, theirs in zip(grouped, whole, strict=True):
        assert all(torch.equal(a, b) for (a, _), (b, _) in zip(ours, theirs, strict=True))


def test_a_clip_that_cannot_be_read_is_lost_to_all_and_one_that_cannot_be_heard_to_one() -> None:
    sounds = items(3)
    sounds[1] = Item("broken", {}, Sound(2, error=AudioError("no such file")))
    sounds[2] = Item("plain", {}, Sound(0))
    loud, mel = heard_by([Loudness(), Mel()], sounds, 1)
    assert [reason for _, reason in loud] == ["", "no such file", "too plain to be heard"]
    assert [reason for _, reason in mel] == ["", "no such file", ""]
    assert [len(rows) for rows, _ in loud] == [1, 0, 0]


def test_a_damaged_store_is_no_ones_loss() -> None:
    with pytest.raises(StoreError, match="disk"):
        heard_by([Mel()], items(2, error=StoreError("disk is gone")), 1)


def test_reading_goes_on_while_the_caller_is_busy_and_never_further_than_it_may() -> None:
    begun: list[int] = []
    second = threading.Event()

    def read(number: int) -> int:
        begun.append(number)
        if number == 1:
            second.set()
        return number * number

    results = ahead(read, range(6), threads=1)
    assert next(results) == 0
    assert second.wait(10), "nothing was read while the caller held the first result"
    assert max(begun) <= 1
    assert list(results) == [1, 4, 9, 16, 25]


def test_the_next_group_is_made_while_the_caller_is_at_one_and_no_other() -> None:
    begun: list[int] = []
    second = threading.Event()

    def made() -> Iterator[int]:
        for number in range(5):
            begun.append(number)
            if number == 1:
                second.set()
            yield number

    groups = prefetched(made())
    assert next(groups) == 0
    assert second.wait(10), "nothing was made while the caller held the first group"
    assert begun == [0, 1]
    assert list(groups) == [1, 2, 3, 4]


def test_what_goes_wrong_in_a_group_reaches_the_caller() -> None:
    def made() -> Iterator[int]:
        yield 0
        raise StoreError("disk is gone")

    groups = prefetched(made())
    assert next(groups) == 0
    with pytest.raises(StoreError, match="disk"):
        next(groups)
