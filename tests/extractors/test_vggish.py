"""VGGish: its front end as AudioSet defines it, its network as a literal one, its file as released."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.extractors.vggish import Settings, VggishExtractor
from arc_eval.metrics.frechet import frechet_distance
from arc_eval.models.vggish import FrontEnd, Vggish, load_vggish, random_vggish
from arc_eval.records.audio import AudioBatch
from arc_eval.registry import settings

RATE = 16000
REAL = os.environ.get("ARC_EVAL_VGGISH", "")
"""Where the real `vggish-10086976.pth` lies."""


def extractor(**changes: Any) -> VggishExtractor:
    built: VggishExtractor = settings(
        "extractors", {"kind": "vggish", "weights": "random", **changes}, "test"
    ).build()
    return built


def noise(seconds: float, channels: int = 1, rate: int = RATE, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, int(seconds * rate), generator=draw)


def relative(ours: Tensor, theirs: Any) -> float:
    other = torch.as_tensor(theirs).double()
    assert ours.shape == other.shape
    return float((ours.double() - other).norm() / other.norm())


def literal_front_end(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """AudioSet's definition, bin by bin: frames of 25 ms every 10 ms, triangles over mel, log(mel + 0.01)."""
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    edges = [mel(125.0) + (mel(7500.0) - mel(125.0)) * band / 65 for band in range(66)]
    bands = np.zeros((257, 64))
    for place in range(1, 257):  # the constant part is left out
        at = mel(place * 8000 / 256)
        for band in range(64):
            left, centre, right = edges[band : band + 3]
            bands[place, band] = max(0.0, min((at - left) / (centre - left), (right - at) / (right - centre)))
    frames = []
    for start in range(0, len(samples) - 399, 160):
        padded = np.zeros(512)
        padded[:400] = samples[start : start + 400] * hann
        turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
        frames.append(np.log(np.abs(turns @ padded) @ bands + 0.01))
    examples = len(frames) // 96
    return np.stack(frames[: examples * 96]).reshape(examples, 96, 64)


def test_the_front_end_is_audiosets_definition() -> None:
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(int(2.1 * RATE)) / RATE)  # silent in most bands
    for samples in (noise(2.1)[0], tone):
        ours, theirs = FrontEnd()(samples), literal_front_end(samples.double().numpy())
        assert ours.dtype == torch.float32 and relative(ours, theirs) < 1e-7
        assert np.abs(ours.numpy() - theirs).max() < 1e-6


def test_the_network_is_the_literal_one() -> None:
    draw = torch.Generator().manual_seed(0)
    network, examples = random_vggish(activation=True), torch.randn(2, 96, 64, generator=draw)
    state = {name: tensor.double() for name, tensor in network.state_dict().items()}
    x = examples.double()[:, None]
    for place, pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        x = torch.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1)
        x = x.clamp(min=0)
        if pooled:
            clips, channels, frames, bands = x.shape
            x = x.view(clips, channels, frames // 2, 2, bands // 2, 2).amax((3, 5))
    # [example, channel, frame, band] is read frame by frame, band by band, channel by channel.
    flat = torch.stack([one.flatten(1).T.flatten() for one in x])
    for place in (0, 2, 4):
        weight, bias = state[f"embeddings.{place}.weight"], state[f"embeddings.{place}.bias"]
        flat = (flat @ weight.T + bias).clamp(min=0)
    with torch.inference_mode():
        assert relative(network(examples), flat) < 1e-5


def test_a_clip_has_a_row_for_each_whole_example_and_one_if_it_is_shorter() -> None:
    heard = extractor()
    lengths = {0.2: 1, 0.975: 1, 1.9: 1, 1.935: 2, 10.0: 10}
    rows = heard.embed(AudioBatch.of([noise(seconds) for seconds in lengths], RATE))
    assert [len(row) for row in rows] == list(lengths.values())
    (silent,) = heard.embed(AudioBatch.of([torch.zeros(1, 100)], RATE))
    assert silent.isfinite().all() and silent.shape == (1, 128)


def test_neither_batch_nor_company_nor_channels_that_are_alike_change_a_row() -> None:
    clips = [noise(seconds, rate=44100, seed=seed) for seed, seconds in enumerate((3.0, 0.4, 5.5))]
    alone = [extractor().embed(AudioBatch.of([clip], 44100))[0] for clip in clips]
    for changes in ({}, {"batch": 1}, {"batch": 3}):
        together = extractor(**changes).embed(AudioBatch.of(clips, 44100))
        assert all(relative(ours, theirs) < 1e-5 for ours, theirs in zip(together, alone, strict=True))
    (stereo,) = extractor().embed(AudioBatch.of([clips[0].expand(2, -1)], 44100))
    assert relative(stereo, alone[0]) < 1e-5


def test_bfloat16_rounds_a_row_and_no_more() -> None:
    audio = AudioBatch.of([noise(4.0)], RATE)
    (exact,), (rounded,) = extractor().embed(audio), extractor(precision="bfloat16").embed(audio)
    assert rounded.dtype == torch.float32 and 0 < relative(rounded, exact) < 0.02


def test_the_last_rectifier_is_the_only_thing_that_activation_adds() -> None:
    audio = AudioBatch.of([noise(4.0)], RATE)
    (linear,), (rectified,) = extractor().embed(audio), extractor(activation=True).embed(audio)
    assert (linear < 0).any() and torch.equal(rectified, linear.clamp(min=0))


def test_every_setting_is_in_the_fingerprint() -> None:
    plain = extractor().fingerprint()
    changes = {"activation": True, "precision": "bfloat16"}
    assert set(changes) == set(Settings.model_fields) - {"weights", "batch", "device"}
    for name, value in changes.items():
        assert extractor(**{name: value}).fingerprint() != plain, name


def test_the_released_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in random_vggish(False, seed=3).state_dict().items()}
    released = tmp_path / "vggish.pth"
    torch.save({**state, "pproc.pca_means": torch.zeros(128, 1)}, released)
    read = load_vggish(released, activation=False)
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.state_dict().items())
    assert extractor(weights=str(released)).fingerprint()["checkpoint"] not in ("", "random")
    fewer = tmp_path / "fewer.safetensors"
    save_file({name: tensor for name, tensor in state.items() if name != "embeddings.4.bias"}, fewer)
    with pytest.raises(CheckpointError, match=r"fewer.*\n.*embeddings\.4\.bias"):
        load_vggish(fewer, activation=False)
    with pytest.raises(CheckpointError, match="nowhere"):
        extractor(weights=str(tmp_path / "nowhere.pth"))
    assert sum(tensor.numel() for tensor in Vggish().state_dict().values()) == 72_141_184


def sines(count: int, noise_level: float, draw: np.random.Generator) -> AudioBatch:
    """Google's test files: sines of full scale with noise, in 16 bits that wrap around into clicks.

    Source: google-research, frechet_audio_distance/gen_test_files.py.
    """
    time = np.linspace(0, 6, 6 * RATE)
    clips = []
    for frequency in np.linspace(100, 1000, count):
        sine = np.sin(2 * np.pi * frequency * time)
        noisy = sine + draw.normal(0, noise_level, len(time)) * np.abs(sine).max()
        samples = (2**15 * noisy).astype(np.int64).astype(np.int16)
        clips.append(torch.from_numpy(samples).float()[None] / 2**15)
    return AudioBatch.of(clips, RATE)


@pytest.mark.skipif(not REAL, reason="ARC_EVAL_VGGISH does not name the real vggish-10086976.pth")
def test_distorted_sines_are_as_far_as_frechet_audio_distance_finds_them() -> None:
    """Google's own reference has 12.4375 and 4.7680; frechet-audio-distance allows itself 2.0."""
    heard, draw = extractor(weights=REAL), np.random.default_rng(0)
    background = torch.cat(heard.embed(sines(10, 0.0, draw)))
    for level, expected in ((1e-4, 12.4375), (1e-5, 4.7680)):
        distorted = torch.cat(heard.embed(sines(5, level, draw)))
        assert frechet_distance(distorted, background) == pytest.approx(expected, abs=2.0)
