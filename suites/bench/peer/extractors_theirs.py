"""The networks that published scores were taken with, from PyPI, one file and one window at a time.

hear21passt, laion-clap and torchopenl3's network, eager float32. What stands before them is done here as
stable-audio-metrics does it: decode, peak, resample, window. laion-clap's and hear21passt's own filter
banks need torchaudio, which is not installed: the driver hands them over. OpenL3 hears files of 48 kHz: the
rounding of a resampler alone changes its rows by 2e-3, as quiet bands reach down to it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from peer.link import serve
from peer.theirs import stand_in
from peer.watch import Watch, facts

Samples = NDArray[np.float32]
Rows = Callable[[Path], Tensor]
"""float32[row, feature] of an audio file."""

ABSENT = {
    "openl3": ("julius",),
    "passt": ("timm", "timm.models", "timm.models._hub", "torchaudio"),
    "clap": (
        "timm", "timm.models", "timm.models.layers", "timm.models.layers.attention_pool2d", "torchvision",
        "torchvision.datasets", "torchvision.transforms", "torchvision.ops", "torchvision.ops.misc",
        "torchaudio", "wget", "webdataset", "braceexpand", "pandas", "PIL",
    ),
}  # fmt: skip
"""Imported at the top of their modules and not used for ten-second clips."""
UNUSED = (
    "spectrogram_extractor", "logmel_extractor", "tscam_conv", "audio_branch.head", "attn_mask",
    "relative_position_index", "audio_transform",
)  # fmt: skip
"""Of laion-clap's tensors those that no embedding of a recording depends on."""
PACKAGES = {"openl3": "torchopenl3", "passt": "hear21passt", "clap": "laion-clap"}


def read(path: Path) -> tuple[Samples, int]:
    """float32[channel, time] and the rate."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), rate


def levelled(samples: Samples) -> Samples:
    """With its peak at -1 dBFS."""
    return samples * np.float32(10 ** (-1 / 20) / np.abs(samples).max())


def mono(path: Path, rate: int) -> Samples:
    """float32[time], averaged and then resampled."""
    samples, own = read(path)
    return levelled(soxr.resample(samples.mean(0), own, rate, quality="HQ"))


def openl3(weights: dict[str, Tensor]) -> Rows:
    """torchopenl3's convolutions behind openl3 0.4's (kapre 0.3's) spectrogram."""
    from scipy.fft import rfft
    from torchopenl3.models import PytorchOpenl3

    network = PytorchOpenl3("env", "mel256", 512).eval()
    bands, hann = weights.pop("bands").numpy(), weights.pop("hann").numpy()
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.startswith("speclayer") for name in missing), (missing, unexpected)
    network.speclayer = torch.nn.Identity()

    def spectrogram(window: Samples) -> Tensor:
        padded = np.pad(window, (0, 198 * 242 + 2048 - 48000))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::242]
        magnitude = np.abs(rfft(frames * hann)) @ bands.T
        decibels = 10 * np.log10(np.maximum(magnitude, np.float32(1e-10)))
        return torch.from_numpy(np.maximum(decibels - decibels.max(), np.float32(-80)).T)

    def windows(channel: Samples) -> Iterator[Samples]:
        whole = np.pad(channel, (24000, 0))
        whole = np.pad(whole, (0, -(len(whole) - 48000) % 24000))
        for start in range(0, len(whole) - 47999, 24000):
            yield whole[start : start + 48000]

    def embedded(channel: Samples) -> Tensor:
        # The network's own spectrogram (kapre 0.1's) is left out, which gives [clip, band, frame, 1].
        parts = [network(spectrogram(part)[None, :, :, None]) for part in windows(channel)]
        return torch.stack([part.flatten() for part in parts])

    def rows(path: Path) -> Tensor:
        samples, rate = read(path)
        assert rate == 48000
        samples = levelled(samples)
        left, right = samples[0], samples[-1]
        return torch.cat([embedded(left), embedded(right)], 1)

    return rows


def passt(weights: dict[str, Tensor]) -> Rows:
    """hear21passt's spectrogram and network."""
    bands = weights.pop("bands")
    from hear21passt.models.passt import get_model
    from hear21passt.models.preprocess import AugmentMelSTFT

    network = get_model(arch="passt_s_swa_p16_128_ap476", pretrained=False).eval()
    network.load_state_dict(weights, strict=True)
    mel = AugmentMelSTFT(freqm=0, timem=0, fmax_aug_range=2000).eval()
    sys.modules["torchaudio"].compliance = Banks(bands[:, :-1])  # type: ignore[attr-defined]
    stft = torch.stft

    def real(*arguments: Any, return_complex: bool = False, **options: Any) -> Tensor:
        return torch.view_as_real(stft(*arguments, return_complex=True, **options))

    def rows(path: Path) -> Tensor:
        samples = mono(path, 32000)
        assert len(samples) <= 320000
        window = torch.from_numpy(np.pad(samples, (0, 320000 - len(samples))))[None]
        with patch.object(torch, "stft", real):  # torch has dropped the form that hear21passt asks for
            spectrogram = mel(window)
        logits: Tensor = network(spectrogram[:, None])[0]
        return logits

    return rows


class Banks:
    """Stands where hear21passt looks for its filter bank."""

    def __init__(self, bands: Tensor) -> None:
        self.kaldi, self._bands = self, bands

    def get_mel_banks(self, *arguments: object, **options: object) -> tuple[Tensor, None]:
        """The bank, whatever is asked."""
        return self._bands, None


def clap(weights: dict[str, Tensor]) -> Rows:
    """laion-clap's features and audio tower; its text tower is left out."""
    import transformers

    bands, shape = weights.pop("bands"), transformers.RobertaConfig(num_hidden_layers=0, vocab_size=2)
    small = classmethod(lambda kind, name: kind(shape))
    none = classmethod(lambda kind, name: None)
    readers = ("BertTokenizer", "RobertaTokenizer", "BartTokenizer")
    with ExitStack() as offline:
        # It would download these when it is imported; none of them has to do with audio.
        offline.enter_context(patch.object(transformers.RobertaModel, "from_pretrained", small))
        for reader in readers:
            offline.enter_context(patch.object(getattr(transformers, reader), "from_pretrained", none))
        import laion_clap  # noqa: F401  (it puts its own modules in the path)
        from clap_module import create_model
        from laion_clap.training import data

        network, config = create_model(
            "HTSAT-tiny",
            "roberta",
            precision="fp32",
            device="cpu",
            enable_fusion=True,
            fusion_type="aff_2d",
        )
    network.eval()
    missing, unexpected = network.load_state_dict(weights, strict=False)
    needed = [
        name for name in missing if name.startswith("audio_") and not any(map(name.__contains__, UNUSED))
    ]
    assert not unexpected and not needed, (needed, unexpected)
    hann = torch.hann_window(1024)

    def mels(samples: Tensor, _: object) -> Tensor:
        spectrum = torch.stft(samples, 1024, 480, window=hann, center=True, return_complex=True)
        return 10 * (bands @ spectrum.abs().square()).clamp(min=1e-10).log10().T

    data.get_mel = mels

    def rows(path: Path) -> Tensor:
        samples = mono(path, 48000).clip(-1, 1)
        quantised = torch.from_numpy((samples * 32767).astype(np.int16) / np.float32(32767))
        features = data.get_audio_features(
            {},
            quantised,
            480000,
            data_truncating="fusion",
            data_filling="repeatpad",
            audio_cfg=config["audio_cfg"],
        )
        embedding: Tensor = network.get_audio_embedding([features])
        return embedding

    return rows


def load() -> tuple[Mapping[str, object], Any]:
    """Reads the command line `KIND WEIGHTS`, loads the network; gives what answers a request."""
    kind, weights = sys.argv[1], load_file(sys.argv[2])
    import transformers.models.roberta.modeling_roberta  # noqa: F401  (looks for torchaudio itself)

    stand_in(ABSENT[kind])
    rows = {"openl3": openl3, "passt": passt, "clap": clap}[kind](weights)
    watch = Watch()

    def call(files: list[str], output: str) -> Mapping[str, object]:
        with torch.inference_mode():
            found, cost = watch.call(lambda: [rows(Path(file)) for file in files])
        save_file({str(place): each.contiguous() for place, each in enumerate(found)}, output)
        return cost

    return facts((PACKAGES[kind], "torch", "numpy")), call


if __name__ == "__main__":
    serve(load)
