"""PaSST, the audio transformer of KL-passt: architecture passt_s_swa_p16_128_ap476, names as released.

Patches of 16 by 16 every 10 points of a mel spectrogram, a place in time and one in frequency added to
each, two tokens before them, twelve blocks. Source: Koutini et al. 2022; hear21passt 0.0.26.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_RATE = 32000
WINDOW = 320000
CLASSES, WIDTH, HEADS, DEPTH = 527, 768, 12, 12
N_FFT, HOP, BANDS, HIGHEST = 1024, 320, 128, 15000.0


class MelFrontEnd(nn.Module):
    """float32[clip, time] at 32 kHz to float32[clip, 1, 128, frame]."""

    def __init__(self) -> None:
        super().__init__()
        self.window: Tensor
        self.bands: Tensor
        self.register_buffer("window", torch.hann_window(800, periodic=False), persistent=False)
        self.register_buffer("bands", kaldi_bands().float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """In float32."""
        emphasised = samples[:, 1:] - 0.97 * samples[:, :-1]
        spectrum = torch.stft(
            emphasised, N_FFT, HOP, win_length=800, window=self.window, center=True, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel: Tensor = self.bands @ power
        return (((mel + 1e-5).log() + 4.5) / 5).unsqueeze(1)


def kaldi_bands() -> Tensor:
    """float64[128, 513]: triangles in mel = 1127 ln(1 + f / 700), none normalised; the last bin unused."""
    mel = 1127 * torch.log1p(torch.arange(N_FFT // 2, dtype=torch.float64) * SAMPLE_RATE / N_FFT / 700)
    width = 1127 * torch.log1p(torch.tensor(HIGHEST / 700, dtype=torch.float64)) / (BANDS + 1)
    left = width * torch.arange(BANDS, dtype=torch.float64)[:, None]
    triangles = torch.minimum((mel - left) / width, (left + 2 * width - mel) / width).clamp(min=0)
    return F.pad(triangles, (0, 1))


class Attention(nn.Module):
    """Every token looks at every token; only the first `kept` say what they saw."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, kept: int | None = None) -> Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q[:, :, :kept], k, v)
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two linear layers, four times as wide between."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention and two layers, each added to what it read."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = Mlp()

    def forward(self, x: Tensor, kept: int | None = None) -> Tensor:
        x = x[:, :kept] + self.attn(self.norm1(x), kept)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchEmbed(nn.Module):
    """Patches to tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, WIDTH, 16, stride=10)

    def forward(self, mel: Tensor) -> Tensor:
        out: Tensor = self.proj(mel)
        return out


class Passt(nn.Module):
    """float32[clip, 1, 128, frame] (1000 frames at most) to logits float32[clip, 527] and features."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, WIDTH))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, WIDTH, 12, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, WIDTH, 1, 99))
        self.patch_embed = PatchEmbed()
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES))
        self.head_dist = nn.Linear(WIDTH, CLASSES)  # in the released file, read by nobody

    def features(self, mel: Tensor) -> Tensor:
        """float32[clip, 768]: the mean of the two tokens."""
        patches = self.patch_embed(mel)
        patches = patches + self.freq_new_pos_embed + self.time_new_pos_embed[..., : patches.shape[-1]]
        tokens = torch.cat([self.cls_token, self.dist_token], 1) + self.new_pos_embed
        x = torch.cat([tokens.expand(len(mel), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        for block in self.blocks[:-1]:
            x = block(x)
        # Nobody reads what the last block says of the patches.
        return torch.as_tensor(self.norm(self.blocks[-1](x, kept=2)).mean(1))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features."""
        features = self.features(mel)
        return self.head(features), features
