"""PaSST against the official implementation, against its own plain form, and with files that are not it."""

import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.audioset import audioset_labels
from arc_eval.models.fast_linear import through_onednn
from arc_eval.models.passt import Passt, PasstConfig, places
from arc_eval.models.passt_mel import PasstMel, kaldi_bank
from arc_eval.models.passt_weights import OFFICIAL, RANDOM, filled_passt, load_passt, random_passt

SMALL = PasstConfig(width=128, depth=2, classes=5)


def relative(found: Tensor, official: Tensor) -> float:
    assert found.shape == official.shape
    return float((found - official).norm() / official.norm())


def probe(length: int, rate: int) -> Tensor:
    """Two tones and a repeatable rustle: the signal that the anchors were computed from."""
    n = np.arange(length)
    tones = 0.5 * np.sin(2 * np.pi * 440 * n / rate) + 0.25 * np.sin(2 * np.pi * 3000 * n / rate)
    return torch.from_numpy(tones + 0.01 * (((7919 * n) % 1009) / 504.5 - 1)).float()[None]


def plain(network: Passt, mel: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and features by the formulas: convolution, softmax(q k^T), every token through every block."""
    state = network.state_dict()

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x: Tensor, name: str, eps: float) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    proj = "patch_embed.proj"
    x = F.conv2d(mel[:, None], state[f"{proj}.weight"], state[f"{proj}.bias"], stride=10)
    x = x + state["time_new_pos_embed"][..., : x.shape[-1]] + state["freq_new_pos_embed"]
    x = x.flatten(2).transpose(1, 2)
    both = [state["cls_token"], state["dist_token"]]
    leading = [token + state["new_pos_embed"][:, i : i + 1] for i, token in enumerate(both)]
    x = torch.cat([*(token.expand(len(x), -1, -1) for token in leading), x], 1)
    for block in (f"blocks.{index}" for index in range(network.config.depth)):
        qkv = linear(norm(x, f"{block}.norm1", 1e-6), f"{block}.attn.qkv")
        q, k, v = qkv.reshape(*x.shape[:2], 3, network.config.heads, -1).permute(2, 0, 3, 1, 4)
        read = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        x = x + linear(read.transpose(1, 2).reshape(x.shape), f"{block}.attn.proj")
        inner = linear(norm(x, f"{block}.norm2", 1e-6), f"{block}.mlp.fc1")
        inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
        x = x + linear(inner, f"{block}.mlp.fc2")
    x = norm(x, "norm", 1e-6)
    features = (x[:, 0] + x[:, 1]) / 2
    return linear(norm(features, "head.0", 1e-5), "head.1"), features


def varied(network: Passt) -> Passt:
    """With norms and biases that are not the identity's, as training leaves them."""
    draw = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
    return network


@pytest.fixture(scope="module")
def small() -> Passt:
    return varied(random_passt(SMALL, 0))


def spectrogram(frames: int, clips: int = 2) -> Tensor:
    return torch.randn(clips, 128, frames, generator=torch.Generator().manual_seed(frames))


@pytest.fixture(scope="module")
def golden(shared: Path) -> Mapping[str, Tensor]:
    with np.load(shared / "golden" / "passt" / "io.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


@pytest.fixture(scope="module")
def official(shared: Path) -> Passt:
    """The official network with the golden's weights, through the loader."""
    folder = shared / "golden"
    spec = importlib.util.spec_from_file_location("fill", folder / "fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    keys = json.loads((folder / "passt" / "keys.json").read_text())
    tensors = {name: torch.from_numpy(array) for name, array in fill.state_dict(keys).items()}
    return filled_passt(tensors, "the golden's weights")


def heard_mel(golden: Mapping[str, Tensor]) -> Tensor:
    """Of both recordings, filled with zeros to 10 s."""
    clips = [golden[f"{index}.audio32k"] for index in (0, 1)]
    return PasstMel()(torch.stack([F.pad(clip, (0, 320_000 - len(clip))) for clip in clips]))


def test_mel_equals_the_official_one(golden: Mapping[str, Tensor]):
    mel = heard_mel(golden)
    for index in (0, 1):
        assert relative(mel[index : index + 1, :, ::10], golden[f"{index}.mel"]) < 1e-4


def test_logits_and_features_equal_the_official_ones(golden: Mapping[str, Tensor], official: Passt):
    through_onednn(official)
    with torch.inference_mode():
        heard = official(heard_mel(golden)[1:])
    assert relative(heard.logits, golden["1.logits"]) < 1e-4
    assert relative(heard.features, golden["1.features"]) < 1e-4


def test_the_bank_has_the_anchored_sum_and_no_empty_band():
    bank = kaldi_bank()
    assert bank.shape == (128, 513)
    assert float(bank.double().sum()) == pytest.approx(473.490551273, abs=1e-4)
    assert int((bank > 0).sum()) == 947
    assert bank.any(1).all() and not bank[:, -1].any()


def test_the_front_end_has_the_anchored_values():
    mel = PasstMel()(probe(320_000, 32_000))[0]
    assert mel.shape == (128, 1000)
    assert float(mel.mean()) == pytest.approx(-0.325719, abs=1e-4)
    assert float(mel.std()) == pytest.approx(0.803988, abs=1e-4)
    assert float(mel.max()) == pytest.approx(2.326594, abs=1e-4) and int(mel.argmax()) == 68 * 1000 + 132
    found = [float(mel[place]) for place in ((0, 0), (20, 500), (60, 0), (127, 999))]
    assert found == pytest.approx([-0.083706, 1.643509, 0.603600, 0.915610], abs=1e-4)


@pytest.mark.parametrize("samples", [514, 515, 833, 834, 4801, 48_000])
def test_frames_are_counted_as_the_front_end_makes_them(samples: int):
    assert PasstMel()(torch.zeros(1, samples)).shape[-1] == PasstMel.frames(samples)


@pytest.mark.parametrize("frames", [16, 151, 1000])
def test_the_network_is_its_plain_form(small: Passt, frames: int):
    mel = spectrogram(frames)
    heard = small(mel)
    logits, features = plain(small, mel)
    assert relative(heard.logits, logits) < 1e-5
    assert relative(heard.features, features) < 1e-5


def test_a_window_does_not_hear_the_others(small: Passt):
    mel = spectrogram(200, clips=3)
    together = small(mel).logits
    for index in range(3):
        assert relative(small(mel[index : index + 1]).logits, together[index : index + 1]) < 1e-5


def test_bfloat16_is_near_and_not_equal(small: Passt):
    mel = spectrogram(1000)
    exact = small(mel).logits
    near = filled_passt(small.state_dict(), "small", SMALL).compute_in(torch.bfloat16)(mel).logits
    assert near.dtype == torch.float32
    assert 1e-6 < relative(near, exact) < 0.05


@pytest.mark.parametrize("frames", [15, 1010])
def test_more_or_fewer_frames_than_there_are_positions_for_are_refused(small: Passt, frames: int):
    with pytest.raises(ValueError, match="16 to 1009 frames"):
        small(spectrogram(frames))


def test_official_sizes_are_the_published_ones():
    with torch.device("meta"):
        network = Passt(PasstConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 86_153_758
    assert (places(128), places(998), places(1000)) == (12, 99, 99)


def test_the_names_are_audiosets():
    labels = audioset_labels()
    assert len(set(labels)) == len(labels) == 527
    # Of the published reference probabilities of music, the strongest classes.
    assert [labels[index] for index in (137, 138, 153, 140)] == [
        "Music",
        "Musical instrument",
        "Piano",
        "Guitar",
    ]


def test_a_checkpoint_is_read_in_any_format_and_kept_as_it_is(small: Passt, tmp_path: Path):
    torch.save(small.state_dict(), tmp_path / "small.pt")
    tensors = torch.load(tmp_path / "small.pt", weights_only=True)
    again = filled_passt(tensors, "small.pt", SMALL)
    assert not again.training
    mel = spectrogram(100)
    assert torch.equal(again(mel).logits, small(mel).logits)


def test_random_weights_are_the_same_every_time_and_all_heard():
    stream = torch.random.get_rng_state()
    first, second = random_passt(SMALL, 0), random_passt(SMALL, 0)
    assert torch.equal(torch.random.get_rng_state(), stream)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert all(parameter.any() for name, parameter in first.named_parameters() if parameter.ndim > 1)
    mel = spectrogram(100)
    assert not torch.equal(first(mel).logits, random_passt(SMALL, 1)(mel).logits)


def altered(small: Passt, **tensors: Tensor | None) -> dict[str, Tensor]:
    """A checkpoint with some tensors replaced, or missing."""
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    merged = {**small.state_dict(), **named}
    return {name: tensor for name, tensor in merged.items() if tensor is not None}


def test_another_patch_stride_or_length_is_refused_by_name(small: Passt):
    tensors = altered(
        small, freq_new_pos_embed=torch.zeros(1, 128, 8, 1), time_new_pos_embed=torch.zeros(1, 128, 1, 62)
    )
    with pytest.raises(CheckpointError, match=rf"stride16.pt: .* 8 x 62 .* not 12 x 99; .*{OFFICIAL}"):
        filled_passt(tensors, "stride16.pt", SMALL)


def test_another_number_of_classes_is_refused_by_name(small: Passt):
    tensors = altered(small, head__1__weight=torch.zeros(200, 128), head__1__bias=torch.zeros(200))
    with pytest.raises(CheckpointError, match=r"fsd50k\.pt: a PaSST that tells 200 classes apart, not 5"):
        filled_passt(tensors, "fsd50k.pt", SMALL)


def test_another_network_is_told_from_a_passt(small: Passt):
    with pytest.raises(CheckpointError, match=r"no weights of PaSST: it has no patch_embed\.proj\.weight"):
        filled_passt({"conv1.weight": torch.zeros(3)}, "cnn14.pt", SMALL)


def test_every_missing_and_unknown_tensor_is_named(small: Passt):
    tensors = altered(small, blocks__1__attn__qkv__bias=None, blocks__2__norm1__weight=torch.zeros(128))
    with pytest.raises(CheckpointError) as refused:
        filled_passt(tensors, "x.pt", SMALL)
    assert "missing (1): blocks.1.attn.qkv.bias" in str(refused.value)
    assert "unexpected (1): blocks.2.norm1.weight" in str(refused.value)


def test_files_that_hold_no_weights_are_refused(tmp_path: Path):
    noise = tmp_path / "noise.pt"
    noise.write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(CheckpointError, match="neither a safetensors nor a torch file"):
        load_passt(noise)
    with pytest.raises(CheckpointError, match=f"no such file .*did you mean '{OFFICIAL}'"):
        load_passt("passt-s-swa-p16-128-ap486")
    with pytest.raises(CheckpointError, match=RANDOM):
        load_passt("random/passt")


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"cls_token": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match="refused"):
        load_passt(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()
