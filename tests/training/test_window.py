"""A clip holds what its recording holds, and says how much of it that is."""

import pytest
import torch

from arc_eval.errors import TrainingError
from arc_eval.training.window import Window

WINDOW = Window(samples=100, sample_rate=1000, channels=2)


def ramp(samples: int) -> torch.Tensor:
    return torch.arange(1.0, samples + 1).repeat(2, 1)


@pytest.mark.parametrize("samples", [1, 37, 100])
def test_a_short_recording_is_whole_and_followed_by_silence(samples: int) -> None:
    clip = WINDOW.clip(ramp(samples), seed=3)
    assert clip.samples == samples
    assert clip.audio.shape == (2, 100)
    assert clip.audio[:, :samples].equal(ramp(samples))
    assert not clip.audio[:, samples:].any()


def test_of_a_long_recording_every_part_may_be_taken() -> None:
    starts = []
    for seed in range(400):
        clip = WINDOW.clip(ramp(104), seed)
        assert clip.samples == 100
        assert clip.audio.diff().eq(1).all()
        starts.append(int(clip.audio[0, 0]) - 1)
    counts = torch.bincount(torch.tensor(starts), minlength=5)
    assert len(counts) == 5
    assert counts.min() > 50  # 80 expected of each; below 50 has a probability under 1e-4


def test_a_seed_decides_the_part() -> None:
    first, again = (WINDOW.clip(ramp(100_000), seed=9) for _ in range(2))
    assert first.audio.equal(again.audio)
    assert not first.audio.equal(WINDOW.clip(ramp(100_000), seed=10).audio)


def test_a_frame_that_holds_any_sound_counts() -> None:
    assert [WINDOW.frames(samples, of=4) for samples in (1, 25, 26, 75, 76, 100)] == [1, 1, 2, 3, 4, 4]


def test_frames_of_a_coarser_encoding_follow_from_those_of_a_finer_one() -> None:
    for samples in range(1, 101):
        fine, coarse = WINDOW.frames(samples, of=20), WINDOW.frames(samples, of=5)
        assert coarse == -(-fine // 4)


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"1 channels.*data\.channels"):
        WINDOW.clip(torch.zeros(1, 50), seed=0)
