"""LAION-CLAP equals the official implementation, whatever the batch."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractors.test_openl3 import relative, signal
from torch import Tensor

from arc_eval.dsp import mel_filterbank
from arc_eval.errors import CheckpointError
from arc_eval.extractors.captions import byte_tokens
from arc_eval.extractors.clap import ClapExtractor, Settings, thirds
from arc_eval.models.htsat import apart, attended, parted, relative_places, window_order
from arc_eval.models.laion_clap import LaionClap, MelFrontEnd, load_laion_clap
from arc_eval.models.safetensors_file import write_safetensors
from arc_eval.models.slaney import slaney_filterbank
from arc_eval.records.audio import AudioBatch
from arc_eval.registry import settings

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"the official outputs are not at {GOLDEN}")


@pytest.fixture(scope="module")
def outputs() -> Any:
    return np.load(GOLDEN / "laion-clap" / "io.npz")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    filled = runpy.run_path(str(GOLDEN / "fill.py"))["state_dict"]
    keys = json.loads((GOLDEN / "laion-clap" / "keys.json").read_text())
    return {key: torch.from_numpy(np.asarray(value)) for key, value in filled(keys).items()}


@pytest.fixture(scope="module")
def weights(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden's weights as a released file holds them, with what a module derives by itself."""
    path = tmp_path_factory.mktemp("clap") / "clap.pt"
    derived = {"text_branch.embeddings.position_ids": torch.arange(514)[None]}
    torch.save(
        {"epoch": 1, "state_dict": {f"module.{key}": value for key, value in (state | derived).items()}}, path
    )
    return path


@pytest.fixture(scope="module")
def network(weights: Path) -> LaionClap:
    return load_laion_clap(weights)


def extractor(weights: str | Path = "random", **changes: Any) -> ClapExtractor:
    data = {"kind": "clap", "weights": str(weights), **changes}
    built: ClapExtractor = settings("extractors", data, "test").build()
    return built


@golden
def test_audio_embeddings_are_the_official_ones_also_of_a_longer_clip(
    outputs: Any, network: LaionClap
) -> None:
    mels = torch.stack([torch.from_numpy(outputs[f"{clip}.mel_fusion"]) for clip in range(3)])
    longer = torch.tensor([bool(outputs[f"{clip}.longer"]) for clip in range(3)])
    assert longer.tolist() == [False, False, True]
    with torch.inference_mode():
        found = network.embed_audio(mels, longer)
    for clip in range(3):
        assert relative(found[clip], outputs[f"{clip}.audio_embedding"][0]) < 1e-4


@golden
@pytest.mark.parametrize("clip", [0, 1])
def test_short_recordings_are_described_as_officially(outputs: Any, weights: Path, clip: int) -> None:
    samples = torch.from_numpy(outputs[f"{clip}.audio48k"])[None]
    (row,) = extractor(weights, peak=None).embed(AudioBatch.of([samples], 48000))
    assert relative(row, outputs[f"{clip}.audio_embedding"]) < 1e-4


@golden
def test_caption_embeddings_are_the_official_ones(outputs: Any, network: LaionClap) -> None:
    ids, mask = (torch.from_numpy(outputs[f"text.{name}"]) for name in ("input_ids", "attention_mask"))
    with torch.inference_mode():
        assert relative(network.embed_text(ids, mask), outputs["text.embedding"]) < 1e-4


@pytest.mark.parametrize(
    ("fusion", "mean", "anchors"),
    [
        (True, -14.450441, {(0, 0): 24.667719, (500, 5): 3.593915, (1000, 63): -7.655198}),
        (False, -37.437666, {(500, 5): 16.440394, (500, 30): -54.569163}),
    ],
)
def test_the_front_end_gives_the_anchors_of_the_test_signal(
    fusion: bool, mean: float, anchors: dict[tuple[int, int], float]
) -> None:
    found = MelFrontEnd(fusion)(signal(480000, 48000).float()[None])[0].double()
    assert found.shape == (1001, 64)
    assert float(found.mean()) == pytest.approx(mean, abs=2e-3)
    # Pure tones have bands at the level of rounding: up to 0.95 dB between float32 and float64.
    assert all(float(found[place]) == pytest.approx(value, abs=0.05) for place, value in anchors.items())


def test_the_bands_are_those_of_the_anchors() -> None:
    htk = mel_filterbank(48000, 1024, 64, 50.0, 14000.0).double()
    assert float(htk.sum()) == pytest.approx(290.150242728, abs=1e-3)
    assert int((htk > 0).sum()) == 580
    assert float(slaney_filterbank(48000, 1024, 64, 50.0, 14000.0).sum()) == pytest.approx(
        1.364432894, abs=1e-8
    )


def test_sixteen_bits_are_cut_towards_zero() -> None:
    heard = extractor(peak=None)._levelled(signal(480000, 48000).float()[None], 48000)
    levels = (heard.double() * 32767).round().int()
    assert levels[:6].tolist() == [-327, 4306, 7804, 10414, 11863, 12052]
    assert int(levels.sum()) == -155802


def test_windows_and_their_way_back() -> None:
    x = torch.arange(2 * 16 * 16 * 3).view(2, 16, 16, 3)
    for shift in (0, 4):
        there, back = window_order(16, shift, x.device)
        assert torch.equal(x.flatten(1, 2)[:, there][:, back].view_as(x), x)
        shifted = parted(x.roll((-shift, -shift), (1, 2)))
        assert torch.equal(x.flatten(1, 2)[:, there].view_as(shifted), shifted)
    assert torch.equal(parted(x)[0, 1, :, 0].view(8, 8), x[0, :8, 8:, 0])
    places = relative_places()
    assert int(places[0, 63]) == 0 and int(places[63, 0]) == 224 and bool((places.diagonal() == 112).all())
    mask = apart(16)
    assert not mask[0].any()  # the first window holds one region
    assert mask[3].view(8, 8, 8, 8)[0, 0, 7, 7] == -100 and mask[3].view(8, 8, 8, 8)[0, 0, 3, 3] == 0


def test_neither_batch_nor_neighbours_change_a_row() -> None:
    stream = torch.Generator().manual_seed(0)
    clips = [torch.randn(1, 30000, generator=stream), torch.randn(1, 11 * 44100, generator=stream)]
    together = extractor(batch=2).embed(AudioBatch.of([clips[0], clips[1], clips[0]], 44100))
    heard = extractor(batch=1)
    alone = [heard.embed(AudioBatch.of([clip], 44100))[0] for clip in clips]
    assert all(relative(row, alone[which]) < 1e-5 for row, which in zip(together, (0, 1, 0), strict=True))
    again = extractor().embed(AudioBatch.of([clips[1]], 44100))[0]
    assert torch.equal(again, alone[1])  # crops are the clip's own
    assert float(again.norm()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("count", "parts"),
    [(7, [range(3), range(3, 5), range(5, 7)]), (2, [range(1), range(1, 2), range(1)]), (1, [range(1)] * 3)],
)
def test_crops_begin_in_three_consecutive_parts(count: int, parts: list[range]) -> None:
    assert thirds(count) == parts


def test_silence_has_a_row_and_captions_theirs() -> None:
    heard = extractor()
    (row,) = heard.embed(AudioBatch.of([torch.zeros(2, 4410)], 44100))
    assert row.isfinite().all()
    texts = heard.embed_text(["a dog", "rain on a roof"])
    assert texts.shape == (2, 512) and relative(texts[1:], heard.embed_text(["rain on a roof"])) < 1e-5
    ids, mask = byte_tokens(["a" * 100])
    assert ids.shape == (1, 77) and int(mask.sum()) == 77 and int(ids[0, -1]) == 2


def test_attention_in_bfloat16_is_attention_to_its_rounding() -> None:
    draw = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 6, 4, 64, 24, generator=draw).bfloat16()
    mask = torch.randn(6, 4, 64, 64, generator=draw).bfloat16()
    mask[:, :, :, 40:] = -100  # as between windows that the shift has brought together
    scores = q.double() @ k.double().mT / 24**0.5 + mask.double()
    assert relative(attended(q, k, v, mask).double(), scores.softmax(-1) @ v.double()) < 2**-7
    exact = attended(*(each.float() for each in (q, k, v, mask)))
    assert relative(exact.double(), scores.softmax(-1) @ v.double()) < 1e-6


def test_every_setting_is_in_the_fingerprint(tmp_path: Path) -> None:
    plain = extractor().fingerprint()
    changes = {"peak": None, "precision": "bfloat16"}
    assert set(changes) == set(Settings.model_fields) - {"weights", "batch", "device", "tokenizer"}
    for name, value in changes.items():
        assert extractor(**{name: value}).fingerprint() != plain, name


@golden
def test_another_checkpoint_is_refused(state: dict[str, Tensor], weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        extractor(tmp_path / "nowhere.pt")
    fewer = tmp_path / "fewer.safetensors"
    write_safetensors(fewer, {key: value for key, value in state.items() if key != "audio_projection.0.bias"})
    with pytest.raises(CheckpointError, match=r"audio_projection\.0\.bias"):
        load_laion_clap(fewer)
    told = extractor(weights, tokenizer=str(tmp_path))
    with pytest.raises(CheckpointError, match="no RoBERTa vocabulary"):
        told.embed_text(["a dog"])
