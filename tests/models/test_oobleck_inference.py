"""Networks made for inference give what they were made of, in windows of any size."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from arc_eval.models.autoencoder_config import OobleckDecoderConfig, OobleckEncoderConfig
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.oobleck import OobleckDecoder, OobleckEncoder
from arc_eval.models.oobleck_inference import Windowed, fold

SIZES = {"channels": 4, "c_mults": (1, 2, 3), "strides": (2, 4, 8)}
RATIO = 64


def random_weights(network: nn.Module) -> None:
    stream = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=stream)


@pytest.fixture
def encoder() -> OobleckEncoder:
    network = OobleckEncoder(OobleckEncoderConfig(latent_dim=6, **SIZES))
    random_weights(network)
    return network.double().eval().requires_grad_(False)


@pytest.fixture
def decoder() -> OobleckDecoder:
    network = OobleckDecoder(OobleckDecoderConfig(latent_dim=3, **SIZES))
    random_weights(network)
    return network.double().eval().requires_grad_(False)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("frames", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("clips", [1, 3])
def test_decoding_in_windows_equals_decoding_the_whole(decoder: OobleckDecoder, frames: int, clips: int):
    latents = noise(clips, 3, 41)
    whole = decoder(latents)
    found = Windowed(copy.deepcopy(decoder), frames)(latents)
    assert found.shape == whole.shape == (clips, 2, 41 * RATIO)
    assert torch.allclose(found, whole, rtol=1e-9, atol=1e-9 * float(whole.abs().max()))


@pytest.mark.parametrize("frames", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("clips", [1, 3])
def test_encoding_in_windows_equals_encoding_the_whole(encoder: OobleckEncoder, frames: int, clips: int):
    audio = noise(clips, 2, 41 * RATIO)
    whole = encoder(audio)
    found = Windowed(copy.deepcopy(encoder), frames)(audio)
    assert found.shape == whole.shape == (clips, 6, 41)
    assert torch.allclose(found, whole, rtol=1e-9, atol=1e-9 * float(whole.abs().max()))


def test_a_window_sees_no_more_of_the_latents_than_it_needs(decoder: OobleckDecoder):
    """One frame in a long row of 400 is decoded from its neighbourhood: the far ones are not read."""
    windowed = Windowed(decoder, 1)
    seen: list[int] = []
    windowed.chain[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].shape[-1]))
    windowed(noise(1, 3, 400))
    assert len(seen) == 400
    assert max(seen) < 40


def test_folding_leaves_no_weight_norm_behind(decoder: OobleckDecoder):
    fold(decoder)
    names = [name for name, _ in decoder.named_parameters()]
    assert names
    assert not [name for name in names if "weight_g" in name or "weight_v" in name]


def test_a_folded_network_holds_fewer_numbers(decoder: OobleckDecoder):
    before = sum(parameter.numel() for parameter in decoder.parameters())
    fold(decoder)
    assert sum(parameter.numel() for parameter in decoder.parameters()) < before


@pytest.mark.parametrize("name", ["small-mini", "sao1-mini"])
@pytest.mark.parametrize("frames", [1, 3, 1000])
def test_windows_equal_the_official_autoencoder(shared: Path, name: str, frames: int):
    from arc_eval.models.config import load_config
    from arc_eval.models.weights import build_model, load_state

    folder = shared / "golden" / name
    autoencoder = build_model(load_config(folder / "model_config.json"), seed=0).eval().autoencoder
    tensors = read_tensors(folder / "model.safetensors")
    prefix = "pretransform.model."
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    load_state(autoencoder, own, name)
    autoencoder.prepare(frames, torch.float32)
    io = read_tensors(folder / "io.safetensors")
    with torch.no_grad():
        posterior = autoencoder.encode_distribution(io["vae.audio"])
        decoded = autoencoder.decode(io["vae.latent"])
    for found, official in (
        (posterior.mean, io["vae.mean"]),
        (posterior.std, io["vae.std"]),
        (decoded, io["vae.decoded"]),
    ):
        assert float((found - official).norm() / official.norm()) < 1e-4
