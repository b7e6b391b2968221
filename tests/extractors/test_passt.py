"""PaSST equals the official implementation, whatever the batch."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractors.test_openl3 import relative, signal
from torch import Tensor

from arc_eval.errors import AudioError, CheckpointError
from arc_eval.extractors.passt import PasstExtractor, Settings, windowed
from arc_eval.models.passt import WINDOW, MelFrontEnd, kaldi_bands
from arc_eval.models.passt_weights import load_passt
from arc_eval.models.safetensors_file import write_safetensors
from arc_eval.records.audio import AudioBatch
from arc_eval.registry import settings

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"the official outputs are not at {GOLDEN}")


@pytest.fixture(scope="module")
def outputs() -> Any:
    return np.load(GOLDEN / "passt" / "io.npz")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    filled = runpy.run_path(str(GOLDEN / "fill.py"))["state_dict"]
    keys = json.loads((GOLDEN / "passt" / "keys.json").read_text())
    return {key: torch.from_numpy(np.asarray(value)) for key, value in filled(keys).items()}


@pytest.fixture(scope="module")
def weights(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden's weights as the released file holds them: a plain state dict in a torch file."""
    path = tmp_path_factory.mktemp("passt") / "passt.pt"
    torch.save(state, path)
    return path


def extractor(weights: str | Path = "random", **changes: Any) -> PasstExtractor:
    data = {"kind": "passt", "weights": str(weights), **changes}
    built: PasstExtractor = settings("extractors", data, "test").build()
    return built


@golden
@pytest.mark.parametrize("clip", [0, 1])
def test_mel_logits_and_features_are_the_official_ones(outputs: Any, weights: Path, clip: int) -> None:
    samples = torch.from_numpy(outputs[f"{clip}.audio32k"])
    padded = torch.nn.functional.pad(samples, (0, WINDOW - len(samples)))
    assert relative(MelFrontEnd()(padded[None])[:, 0, :, ::10], outputs[f"{clip}.mel"]) < 1e-4
    for output in ("logits", "features"):
        heard = extractor(weights, output=output, peak=None)
        (rows,) = heard.embed(AudioBatch.of([samples[None]], 32000))
        assert relative(rows, outputs[f"{clip}.{output}"]) < 1e-4


def test_the_front_end_gives_the_anchors_of_the_test_signal() -> None:
    bands = kaldi_bands()
    assert float(bands.sum()) == pytest.approx(473.490551273, abs=1e-6)
    assert int((bands > 1e-12).sum()) == 947 and bool((bands.sum(1) > 0).all())
    found = MelFrontEnd()(signal(320000, 32000).float()[None])[0, 0].double()
    assert found.shape == (128, 1000)
    assert float(found.mean()) == pytest.approx(-0.325719, abs=1e-4)
    assert float(found.std(correction=0)) == pytest.approx(0.803988, abs=1e-4)
    anchors = {(0, 0): -0.083706, (20, 500): 1.643509, (60, 0): 0.603600, (127, 999): 0.915610}
    assert all(float(found[place]) == pytest.approx(value, abs=1e-4) for place, value in anchors.items())
    assert divmod(int(found.argmax()), 1000) == (68, 132)


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [(1, 1), (10, 1), (10 + 1 / 32000, 2), (11, 2), (11.89, 2), (15, 2), (20, 3), (47, 9)],
)
def test_the_number_of_windows_is_that_of_the_protocol(seconds: float, windows: int) -> None:
    found = windowed(torch.ones(round(seconds * 32000)))
    assert len(found) == windows
    assert {len(window) for window in found} == {WINDOW if seconds > 1.5 else round(seconds * 32000)}


def test_neither_batch_nor_neighbours_change_a_row() -> None:
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(1, 16000, generator=generator) for _ in range(2)]
    together = extractor().embed(AudioBatch.of(clips, 32000))
    heard = extractor(batch=1)
    alone = [heard.embed(AudioBatch.of([clip], 32000))[0] for clip in clips]
    assert all(relative(a, b) < 1e-5 for a, b in zip(together, alone, strict=True))


def test_silence_has_logits_and_loudness_changes_none() -> None:
    heard = extractor()
    (silent,) = heard.embed(AudioBatch.of([torch.zeros(2, 16000)], 44100))
    assert silent.isfinite().all()
    noise = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    loud, soft = (heard.embed(AudioBatch.of([level * noise], 44100))[0] for level in (0.5, 0.005))
    assert relative(loud, soft) < 1e-4


def test_a_clip_without_a_whole_patch_is_refused() -> None:
    heard = extractor()
    (row,) = heard.embed(AudioBatch.of([torch.ones(1, 4802)], 32000))
    assert row.isfinite().all()
    with pytest.raises(AudioError, match=r"0\.150 s are too short for PaSST"):
        heard.embed(AudioBatch.of([torch.ones(1, 4801)], 32000))


def test_every_setting_is_in_the_fingerprint() -> None:
    plain = extractor().fingerprint()
    changes = {"output": "features", "peak": None, "precision": "bfloat16"}
    assert set(changes) == set(Settings.model_fields) - {"weights", "batch", "device"}
    for name, value in changes.items():
        assert extractor(**{name: value}).fingerprint() != plain, name


@golden
def test_another_checkpoint_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        extractor(tmp_path / "nowhere.pt")
    fewer = tmp_path / "fewer.safetensors"
    write_safetensors(fewer, {key: value for key, value in state.items() if key != "head.1.bias"})
    with pytest.raises(CheckpointError, match=r"head\.1\.bias"):
        load_passt(fewer)
    stride = tmp_path / "stride.safetensors"
    write_safetensors(stride, {**state, "time_new_pos_embed": torch.zeros(1, 768, 1, 62)})
    with pytest.raises(CheckpointError, match="time_new_pos_embed"):
        load_passt(stride)
