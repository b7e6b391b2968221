"""VGGish (Hershey et al. 2017): 0.96 s of log mel spectrogram to 128 numbers, as in its torch release.

Names are those of the released `vggish-10086976.pth`. The quantised principal components that AudioSet's own
features went through are not here: Fréchet audio distances are taken without them.
Source: tensorflow/models, audioset/vggish (mel_features, vggish_params); harritaylor/torchvggish.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.seeding import initial_weights

SAMPLE_RATE = 16000
WINDOW, HOP, N_FFT = 400, 160, 512
MELS, LOW, HIGH, FLOOR = 64, 125.0, 7500.0, 0.01
FRAMES = 96
SHORTEST = WINDOW + (FRAMES - 1) * HOP
"""Samples of one example: 0.975 s."""
WIDTHS = ((64,), (128,), (256, 256), (512, 512))
HIDDEN, SIZE = 4096, 128


class FrontEnd(nn.Module):
    """float32[time] at 16 kHz, of one example at least, to float32[example, 96, 64]; a rest is dropped.

    Computed in float64, as AudioSet's: beside a pure tone the other bands hold less than float32's rounding
    of the tone, which their logarithms would show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.window: Tensor
        self.bands: Tensor
        self.register_buffer("window", torch.hann_window(WINDOW, dtype=torch.float64), persistent=False)
        self.register_buffer("bands", mel_bands(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Natural logarithms of mel magnitudes."""
        frames = samples.double().unfold(0, WINDOW, HOP) * self.window
        magnitude = torch.fft.rfft(frames, N_FFT).abs()
        mels: Tensor = (magnitude @ self.bands.T + FLOOR).log().float()
        examples = len(mels) // FRAMES
        return mels[: examples * FRAMES].view(examples, FRAMES, MELS)


class Vggish(nn.Module):
    """float[example, 96, 64] to float[example, 128]; `activation`: whether the last layer is rectified."""

    def __init__(self, activation: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for widths in WIDTHS:
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        flat = before * (FRAMES >> len(WIDTHS)) * (MELS >> len(WIDTHS))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIZE)
        )
        if activation:
            self.embeddings.append(nn.ReLU())

    def forward(self, examples: Tensor) -> Tensor:
        maps = self.features(examples[:, None])
        # Frame, band, channel: TensorFlow's order, in which the first linear layer was trained.
        out: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return out


def mel_bands() -> Tensor:
    """float64[64, 257]: triangles of height 1, straight over mel and not over hertz; no constant part."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return np.asarray(1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0))

    bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1))
    edges = np.linspace(mel(LOW), mel(HIGH), MELS + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    triangles[:, 0] = 0.0
    return torch.from_numpy(triangles)


def load_vggish(path: Path, activation: bool) -> Vggish:
    """The released file, or its tensors in another format, in evaluation mode. Raises CheckpointError."""
    tensors = {name: tensor for name, tensor in read_tensors(path).items() if not name.startswith("pproc.")}
    with WithoutWeights():
        network = Vggish(activation)
    load_state(network, tensors, str(path))
    return network.eval()


def random_vggish(activation: bool, seed: int = 0) -> Vggish:
    """A network that has learnt nothing, of the official size: to time, or to see a suite run."""
    with initial_weights(seed):
        return Vggish(activation).eval()
