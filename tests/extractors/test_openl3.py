"""OpenL3 equals the official implementation, whatever the batch."""

import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from arc_eval.dsp import read_audio
from arc_eval.errors import CheckpointError
from arc_eval.extractors.openl3 import OpenL3Extractor, Settings, framed
from arc_eval.models.openl3 import FoldedOpenL3, FrontEnd
from arc_eval.models.openl3_weights import load_openl3, random_openl3
from arc_eval.models.resampy import kaiser_best
from arc_eval.models.slaney import slaney_filterbank
from arc_eval.records.audio import AudioBatch
from arc_eval.registry import settings

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "openl3"
WEIGHTS = GOLDEN / "openl3_audio_mel256_env.h5"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"the official outputs are not at {GOLDEN}")
REAL = os.environ.get("ARC_EVAL_OPENL3_MUSIC", "")
"""Where the real `openl3_audio_mel256_music.h5` lies."""


def relative(ours: Any, theirs: Any) -> float:
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def signal(length: int, rate: int) -> Tensor:
    """The test signal of the anchor values."""
    n = np.arange(length, dtype=np.float64)
    tones = 0.5 * np.sin(2 * np.pi * 440 * n / rate) + 0.25 * np.sin(2 * np.pi * 3000 * n / rate)
    return torch.from_numpy(tones + 0.01 * ((7919 * n) % 1009 / 504.5 - 1))


@pytest.fixture(scope="module")
def outputs() -> Any:
    return np.load(GOLDEN / "io.npz")


def extractor(**changes: Any) -> OpenL3Extractor:
    weights = {"weights": str(WEIGHTS) if WEIGHTS.exists() else "random"}
    built: OpenL3Extractor = settings("extractors", {"kind": "openl3", **weights, **changes}, "test").build()
    return built


@golden
def test_the_front_end_is_kapres_on_tensorflow(outputs: Any) -> None:
    spectrogram = FrontEnd("mel256")(torch.from_numpy(outputs["window"])[None])[0, 0]
    assert relative(spectrogram, outputs["window.frontend"][0, ..., 0]) < 1e-6


@golden
@pytest.mark.parametrize(("file", "channel"), [(0, 0), (0, 1), (1, 0), (2, 0)])
def test_embeddings_of_48_khz_are_the_official_ones(outputs: Any, file: int, channel: int) -> None:
    heard = extractor(rate=None, peak=None, channels=1)
    samples = torch.from_numpy(outputs[f"{file}.audio48k.channel{channel}"])[None]
    (rows,) = heard.embed(AudioBatch.of([samples], 48000))
    assert relative(rows, outputs[f"{file}.embedding.channel{channel}.at48k"]) < 1e-4


@golden
@pytest.mark.parametrize(("file", "channel"), [(0, 0), (0, 1), (1, 0), (2, 0)])
def test_embeddings_through_our_resampy_are_the_official_ones(outputs: Any, file: int, channel: int) -> None:
    heard = extractor(rate=None, peak=None, channels=1)
    samples = torch.from_numpy(outputs[f"{file}.audio"][:, channel])[None]
    (rows,) = heard.embed(AudioBatch.of([samples], int(outputs[f"{file}.sample_rate"])))
    assert relative(rows, outputs[f"{file}.embedding.channel{channel}.as_is"]) < 2e-3


@golden
def test_the_folded_network_is_the_plain_one(outputs: Any) -> None:
    plain = load_openl3(WEIGHTS, "mel256", 512)
    spectrogram = FrontEnd("mel256")(torch.from_numpy(outputs["window"])[None])
    with torch.inference_mode():
        assert relative(FoldedOpenL3(plain)(spectrogram), plain(spectrogram)) < 1e-5


@golden
@pytest.mark.skipif(
    not REAL,
    reason="set ARC_EVAL_OPENL3_MUSIC to the real openl3_audio_mel256_music.h5 to run openl3's own test",
)
def test_the_real_weights_pass_openl3s_own_regression_test() -> None:
    folder = GOLDEN / "regression"
    expected = np.load(folder / "chirp_44k_kapre.npz")["embedding"]
    heard = extractor(weights=REAL, size=6144, hop=0.1, channels=1, peak=None, rate=None)
    samples, rate = read_audio(folder / "chirp_44k.wav")
    (rows,) = heard.embed(AudioBatch.of([samples], rate))
    assert relative(rows, expected) < 2e-3


def test_the_slaney_bands_are_those_of_the_anchors() -> None:
    bands = slaney_filterbank(48000, 2048, 256, 0.0, 24000.0)
    assert float(bands.sum()) == pytest.approx(10.912664860, abs=1e-8)
    assert int((bands > 0).sum()) == 2031 and bool(bands.any(1).all())
    assert bands.sum(1)[[0, 100, -1]].tolist() == pytest.approx([0.033010434, 0.040337082, 0.042630363])
    few = slaney_filterbank(48000, 2048, 128, 0.0, 24000.0)
    assert float(few.sum()) == pytest.approx(5.458671609, abs=1e-8)
    assert float(few.max()) == pytest.approx(0.031600244)


@pytest.mark.parametrize(
    ("kind", "shape", "mean", "deviation", "values"),
    [
        ("mel256", (256, 199), -39.128785, 8.151969, {(0, 0): -48.39150, (60, 100): -43.84739}),
        ("mel128", (128, 199), -36.540541, 8.222323, {(0, 0): -42.55284, (127, 198): -57.76198}),
        ("linear", (257, 197), -34.233122, 6.848831, {(0, 0): -23.27431, (200, 150): -30.41521}),
    ],
)
def test_spectrograms_of_the_test_signal_are_those_of_the_anchors(
    kind: str, shape: tuple[int, int], mean: float, deviation: float, values: dict[tuple[int, int], float]
) -> None:
    found = FrontEnd(kind)(signal(48000, 48000).float()[None])[0, 0].double()
    assert found.shape == shape
    assert float(found.mean()) == pytest.approx(mean, abs=1e-3)
    assert float(found.std(correction=0)) == pytest.approx(deviation, abs=1e-3)
    assert all(float(found[place]) == pytest.approx(value, abs=2e-3) for place, value in values.items())


def test_silence_is_a_constant_and_not_a_nan() -> None:
    assert not FrontEnd("mel256")(torch.zeros(1, 48000)).any()
    (rows,) = extractor().embed(AudioBatch.of([torch.zeros(2, 4800)], 48000))
    assert rows.isfinite().all() and rows.shape == (1, 1024)


@pytest.mark.parametrize(
    ("seconds", "windows"), [(10, 20), (11, 22), (11.89, 24), (11.9, 24), (1, 2), (0.5, 1), (0.01, 1)]
)
def test_the_number_of_windows_is_openl3s(seconds: float, windows: int) -> None:
    assert framed(torch.zeros(round(seconds * 48000)), 0.5, True).shape == (windows, 48000)


def test_resampling_is_resampys_sum_written_out() -> None:
    from arc_eval.models import resampy

    rng = np.random.default_rng(0)
    x = rng.normal(size=300).astype(np.float32)
    for source, target in ((44100, 48000), (48000, 44100), (8000, 48000)):
        ratio = target / source
        table = resampy._table() * min(1.0, ratio)
        steps = np.append(np.diff(table), 0)
        stride = int(min(1.0, ratio) * 512)
        literal = np.zeros(int(len(x) * ratio))
        for t in range(len(literal)):
            n = int(t / ratio + 1e-9)
            offset = min(1.0, ratio) * (t / ratio - n)
            for sign, at in ((-1, offset), (1, min(1.0, ratio) - offset)):
                first = int(at * 512 + 1e-9)
                for tap in range((len(table) - first) // stride):
                    place = n - tap if sign < 0 else n + 1 + tap
                    if 0 <= place < len(x):
                        weight = (
                            table[first + tap * stride] + (at * 512 - first) * steps[first + tap * stride]
                        )
                        literal[t] += weight * x[place]
        assert relative(kaiser_best(torch.from_numpy(x), source, target), literal) < 1e-5


def test_neither_batch_nor_neighbours_change_a_row() -> None:
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(2, 15000, generator=generator) for _ in range(2)]
    together = extractor(batch=3, resampler="soxr").embed(AudioBatch.of(clips, 44100))
    heard = extractor(batch=1, resampler="soxr")
    alone = [heard.embed(AudioBatch.of([clip], 44100))[0] for clip in clips]
    assert all(relative(a, b) < 1e-5 for a, b in zip(together, alone, strict=True))


def test_mono_is_heard_once_as_the_same_sound_on_both_sides() -> None:
    mono = torch.randn(1, 20000, generator=torch.Generator().manual_seed(0))
    heard = extractor(resampler="soxr")
    (one,) = heard.embed(AudioBatch.of([mono], 44100))
    (two,) = heard.embed(AudioBatch.of([mono.repeat(2, 1)], 44100))
    assert torch.equal(one, two) and torch.equal(one[:, :512], one[:, 512:])


def test_512_numbers_are_the_largest_of_the_twelve_cells_of_6144() -> None:
    spectrogram = -40 * torch.rand(1, 1, 256, 199, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        small, large = (random_openl3("mel256", size)(spectrogram) for size in (512, 6144))
    assert torch.equal(small, large.reshape(1, 12, 512).amax(1))


def test_every_setting_is_in_the_fingerprint() -> None:
    base = {"weights": "random"}
    plain = extractor(**base).fingerprint()
    changes = {
        "representation": "mel128", "size": 6144, "hop": 0.1, "centred": False, "channels": 1, "peak": None,
        "rate": None, "resampler": "soxr", "precision": "bfloat16",
    }  # fmt: skip
    assert set(changes) == set(Settings.model_fields) - {"weights", "batch", "device"}
    for name, value in changes.items():
        assert extractor(**base, **{name: value}).fingerprint() != plain, name


def test_a_file_that_is_not_openl3s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.h5: cannot be read"):
        extractor(weights=str(tmp_path / "nowhere.h5"))
    text = tmp_path / "text.h5"
    text.write_text("no weights")
    with pytest.raises(CheckpointError, match="not Keras weights"):
        extractor(weights=str(text))
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"kernel"]
        file["dense/kernel"] = np.zeros((2, 2), np.float32)
    with pytest.raises(CheckpointError, match="1 layers with weights, OpenL3 has 16"):
        extractor(weights=str(other))


@golden
def test_a_layer_of_another_shape_is_named(tmp_path: Path) -> None:
    changed = shutil.copyfile(WEIGHTS, tmp_path / "changed.h5")
    with h5py.File(changed, "a") as file:
        name = file.attrs["layer_names"][
            [len(file[n].attrs["weight_names"]) > 0 for n in file.attrs["layer_names"]].index(True)
        ]
        group = file[name]
        path = group.attrs["weight_names"][0]
        del group[path]
        group[path] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError, match="layer 1 holds"):
        load_openl3(changed, "mel256", 512)
