"""LAION-CLAP: recordings and captions as unit vectors of one space; names as in the released files."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arc_eval.dsp import mel_filterbank
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.clap_names import released_names
from arc_eval.models.htsat import Htsat, HtsatConfig
from arc_eval.models.roberta import WIDTH, Roberta
from arc_eval.models.slaney import slaney_filterbank
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.seeding import initial_weights

SAMPLE_RATE = 48000
LONGEST = 480000
FRAMES = 1001
N_FFT, HOP, MELS, LOW, HIGH = 1024, 480, 64, 50.0, 14000.0
SIZE = 512

UNUSED = (
    "logit_scale_", "audio_transform.", "text_transform.", "audio_branch.tscam_conv.", "audio_branch.head.",
    "audio_branch.spectrogram_extractor.", "audio_branch.logmel_extractor.",
)  # fmt: skip
DERIVED = (
    "attn_mask", "relative_position_index", "position_ids", "token_type_ids", "num_batches_tracked",
)  # fmt: skip


class MelFrontEnd(nn.Module):
    """float32[clip, time] at 48 kHz to decibels float32[clip, frame, 64].

    HTK triangles of height one with fusion, Slaney's of area one without: that is how each was trained.
    """

    def __init__(self, fusion: bool) -> None:
        super().__init__()
        make = mel_filterbank if fusion else slaney_filterbank
        self.window: Tensor
        self.bands: Tensor
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("bands", make(SAMPLE_RATE, N_FFT, MELS, LOW, HIGH).float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """In float32."""
        spectrum = torch.stft(samples, N_FFT, HOP, window=self.window, center=True, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        return 10 * (self.bands @ power).clamp(min=1e-10).log10().transpose(1, 2)


class LaionClap(nn.Module):
    """Both towers and their projections."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_branch = Htsat(config)
        self.text_branch = Roberta()
        self.audio_projection = _projection(config.features)
        self.text_projection = _projection(WIDTH)

    def embed_audio(self, mels: Tensor, longer: Tensor) -> Tensor:
        """float[clip, 1 or 4, 1001, 64] and whether each has crops, to unit float[clip, 512]."""
        return F.normalize(self.audio_projection(self.audio_branch(mels, longer)), dim=-1)

    def embed_text(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64[text, token] to unit float[text, 512]."""
        return F.normalize(self.text_projection(self.text_branch(ids, attention_mask)), dim=-1)


def _projection(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, SIZE), nn.ReLU(), nn.Linear(SIZE, SIZE))


def load_laion_clap(path: Path) -> LaionClap:
    """A checkpoint, released or of transformers, its kind told by its tensors, in evaluation mode.

    Raises CheckpointError.
    """
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in released_names(read_tensors(path)).items()
        if not name.endswith(DERIVED)
    }
    used = {name: tensor for name, tensor in tensors.items() if not name.startswith(UNUSED)}
    with WithoutWeights():
        network = LaionClap(_config(used))
    for name in network.state_dict():
        if name.endswith("num_batches_tracked"):
            used[name] = torch.tensor(0)
    load_state(network, used, str(path))
    return network.eval()


def _config(tensors: dict[str, Tensor]) -> HtsatConfig:
    fusion = any(".fusion_model." in name for name in tensors)
    base = any(".layers.2.blocks.11." in name for name in tensors)
    return HtsatConfig(128, (2, 2, 12, 2), fusion) if base else HtsatConfig(fusion=fusion)


def random_laion_clap(fusion: bool = True, seed: int = 0) -> LaionClap:
    """A network that has learnt nothing, of the size of 630k-audioset(-fusion)."""
    with initial_weights(seed):
        return LaionClap(HtsatConfig(fusion=fusion)).eval()
