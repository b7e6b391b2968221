"""The tiny autoencoder's transform: what it must keep, and what must not matter."""

import math

import pytest
import torch

from arc_eval.models.features import BandLevels, StereoMel
from arc_eval.models.spectral import SpectralConfig, SpectralDecoder, SpectralEncoder

CONFIG = SpectralConfig(
    n_fft=1024, hop=256, mels=64, patch=4, hidden=16, blocks=1, latent_dim=8, phase_iterations=8
)
LENGTH = 16 * 4 * 256


def _sines(*hertz: float) -> torch.Tensor:
    t = torch.arange(LENGTH) / CONFIG.sample_rate
    return torch.stack([0.5 * torch.sin(2 * math.pi * f * t) for f in hertz])


def _mel() -> StereoMel:
    return StereoMel(CONFIG.sample_rate, CONFIG.n_fft, CONFIG.hop, CONFIG.mels)


def test_the_spectrum_of_a_full_scale_sine_peaks_at_one() -> None:
    mel = _mel()
    on_a_bin = 100 * CONFIG.sample_rate / CONFIG.n_fft
    peak = mel.spectrum(2 * _sines(on_a_bin)).abs()[0, :, 8:-8].amax()
    assert float(peak) == pytest.approx(1.0, rel=1e-3)


def test_spectrum_and_waveform_are_inverse() -> None:
    mel, audio = _mel(), _sines(440.0, 555.0)
    assert torch.allclose(mel.waveform(mel.spectrum(audio), LENGTH), audio, atol=1e-5)


def test_lean_is_the_level_difference_in_units_of_ten_decibels() -> None:
    sine = _sines(1000.0)
    levels = _mel()(torch.cat([sine, sine / 2])[None])
    loudest = levels.level[0, :, 8:-8].mean(-1).argmax()
    assert float(levels.lean[0, loudest, 8:-8].mean()) == pytest.approx(20 * math.log10(2) / 10, abs=0.02)


def test_silence_has_no_lean_and_decodes_to_near_silence() -> None:
    mel = _mel()
    levels = mel(torch.zeros(1, 2, LENGTH))
    assert float(levels.lean.abs().max()) == 0
    assert float(mel.magnitudes(levels).abs().max()) == pytest.approx(0, abs=1e-4)


def test_exchanging_the_channels_turns_the_lean_and_keeps_the_level() -> None:
    audio = torch.randn(1, 2, LENGTH, generator=torch.Generator().manual_seed(0)) * 0.1
    there, back = _mel()(audio), _mel()(audio.flip(1))
    assert torch.allclose(there.level, back.level, atol=1e-5)
    assert torch.allclose(there.lean, -back.lean, atol=1e-4)


def test_phase_search_keeps_the_energy_of_the_bands() -> None:
    decoder, mel = SpectralDecoder(CONFIG), _mel()
    noise = torch.randn(1, 2, LENGTH, generator=torch.Generator().manual_seed(1)) * 0.1
    levels = mel(noise)
    again = mel(decoder.phased(mel.magnitudes(levels), LENGTH))
    decibels = 20 * (again.level - levels.level)[..., 4:-4].abs().mean()
    assert float(decibels) < 1.5


def test_a_sound_in_the_middle_decodes_to_the_middle() -> None:
    decoder, mel = SpectralDecoder(CONFIG), _mel()
    sine = _sines(700.0)
    left, right = decoder.phased(mel.magnitudes(mel(torch.cat([sine, sine])[None])), LENGTH)[0]
    assert torch.allclose(left, right, atol=1e-6)


def test_encoding_a_clip_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    encoder = SpectralEncoder(CONFIG).eval()
    audio = torch.randn(4, 2, LENGTH, generator=torch.Generator().manual_seed(2)) * 0.1
    together = encoder(audio)
    alone = torch.cat([encoder(clip[None]) for clip in audio])
    assert torch.allclose(together, alone, atol=1e-5)


def test_decoding_a_clip_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    decoder = SpectralDecoder(CONFIG).eval()
    latents = torch.randn(3, CONFIG.latent_dim, 16, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        together = decoder(latents)
        alone = torch.cat([decoder(latent[None]) for latent in latents])
    assert together.shape == (3, 2, LENGTH)
    assert torch.allclose(together, alone, atol=1e-5)


def test_features_split_into_what_was_stacked() -> None:
    levels = BandLevels(torch.randn(2, 5, 3), torch.randn(2, 5, 3))
    again = BandLevels.split(levels.stacked())
    assert torch.equal(again.level, levels.level) and torch.equal(again.lean, levels.lean)
