"""The ports against numbers computed by the official code on the same weights (relative error 1e-4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from arc_eval.errors import CheckpointError
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.config import load_config
from arc_eval.models.diffusion import LatentDiffusion
from arc_eval.models.precision import exact_convolutions
from arc_eval.models.state import load_state
from arc_eval.models.weights import build_model, load_model
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.pingpong import pingpong
from arc_eval.samplers.schedule import log_snr_times
from arc_eval.samplers.velocity import Velocity


@dataclass(frozen=True)
class Golden:
    model: LatentDiffusion
    io: Mapping[str, Tensor]

    @property
    def conditioning(self) -> Conditioning:
        return Conditioning(self.io["cross"], self.io["global"])

    def velocity(self, scale: float) -> Velocity:
        return guided(self.model.velocity, self.conditioning, scale)


def read(folder: Path) -> Golden:
    model = build_model(load_config(folder / "model_config.json"), seed=0).eval().requires_grad_(False)
    # The goldens replace T5 by given prompt tokens, so its projection to their narrow width is not in them.
    projection = {
        f"conditioner.conditioners.prompt.proj_out.{name}": tensor
        for name, tensor in model.conditioner.conditioners["prompt"].proj_out.state_dict().items()
    }
    weights = folder / "model.safetensors"
    load_state(model, {**read_tensors(weights), **projection}, str(weights))
    return Golden(model, read_tensors(folder / "io.safetensors"))


@pytest.fixture(scope="module", params=["small-mini", "sao1-mini"])
def golden(request: pytest.FixtureRequest, shared: Path) -> Golden:
    return read(shared / "golden" / request.param)


@pytest.fixture(scope="module")
def small(shared: Path) -> Golden:
    return read(shared / "golden" / "small-mini")


def assert_same(found: Tensor, official: Tensor) -> None:
    assert found.shape == official.shape
    assert float((found - official).norm() / official.norm()) < 1e-4


def test_dit_output_equals_the_official_one(golden: Golden) -> None:
    assert_same(golden.velocity(1.0)(golden.io["x"], golden.io["t"]), golden.io["dit.out"])


def test_guided_output_equals_the_official_one(golden: Golden) -> None:
    assert_same(golden.velocity(4.0)(golden.io["x"], golden.io["t"]), golden.io["dit.out_cfg4"])


def test_hidden_layer_equals_the_official_one(golden: Golden) -> None:
    io = golden.io
    hidden = golden.model.dit.hidden(io["x"], io["t"], io["cross"], io["global"], 1)
    assert_same(hidden, io["dit.hidden_layer_1"])


def test_number_embedders_equal_the_official_ones(golden: Golden) -> None:
    names = [key.removesuffix(".value") for key in golden.io if key.endswith(".value")]
    for name in names:
        embedded = golden.model.conditioner.conditioners[name].embed(golden.io[f"{name}.value"])
        assert_same(embedded, golden.io[f"{name}.embedding"])
    assert names


def test_assembled_conditioning_equals_the_official_one(golden: Golden) -> None:
    tokens = {
        key.removesuffix(".embedding"): golden.io[key] for key in golden.io if key.endswith(".embedding")
    }
    assembled = golden.model.conditioner.assemble({"prompt": golden.io["prompt_tokens"], **tokens})
    assert_same(assembled.cross, golden.io["cross"])
    assert_same(assembled.global_, golden.io["global"])


def test_oobleck_encoder_equals_the_official_one(golden: Golden) -> None:
    assert_same(golden.model.autoencoder.encoder(golden.io["vae.audio"]), golden.io["vae.encoder_out"])


def test_bottleneck_mean_and_deviation_equal_the_official_ones(golden: Golden) -> None:
    posterior = golden.model.autoencoder.encode_distribution(golden.io["vae.audio"])
    assert_same(posterior.mean, golden.io["vae.mean"])
    assert_same(posterior.std, golden.io["vae.std"])


def test_oobleck_decoder_equals_the_official_one(golden: Golden) -> None:
    assert_same(golden.model.decode(golden.io["vae.latent"]), golden.io["vae.decoded"])


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_ping_pong_equals_the_official_one(small: Golden, steps: int) -> None:
    noises = iter(small.io[f"pingpong{steps}.noise"])
    found = pingpong(small.velocity(1.0), small.io["x"], log_snr_times(steps), lambda: next(noises))
    assert_same(found, small.io[f"pingpong{steps}.out"])


def test_ten_step_schedule_equals_the_official_one(small: Golden) -> None:
    assert_same(log_snr_times(10), small.io["rf_sigmas10"])


def test_ten_guided_euler_steps_equal_the_official_ones(small: Golden) -> None:
    found = euler(small.velocity(4.0), small.io["x"], log_snr_times(10))
    assert_same(found, small.io["euler10_cfg4.out"])


def test_ten_guided_dpmpp_steps_equal_the_official_ones(small: Golden) -> None:
    found = dpmpp_2m(small.velocity(4.0), small.io["x"], log_snr_times(10))
    assert_same(found, small.io["dpmpp10_cfg4.out"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_encoder_network_sampler_and_decoder_equal_the_official_ones(shared: Path) -> None:
    golden = read(shared / "golden" / "small-mini")
    here = Golden(golden.model.to("cuda"), {name: tensor.cuda() for name, tensor in golden.io.items()})
    io, model = here.io, here.model
    with exact_convolutions():
        assert_same(here.velocity(4.0)(io["x"], io["t"]), io["dit.out_cfg4"])
        assert_same(euler(here.velocity(4.0), io["x"], log_snr_times(10).cuda()), io["euler10_cfg4.out"])
        model.autoencoder.prepare(16, torch.float32)
        assert_same(model.autoencoder.encode(io["vae.audio"]), io["vae.mean"])
        assert_same(model.decode(io["vae.latent"]), io["vae.decoded"])


def test_a_checkpoint_without_the_text_projection_is_refused_by_name(shared: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"missing \(2\): conditioner.conditioners.prompt.proj_out.bias"
    ):
        load_model(shared / "golden" / "small-mini")


def test_fused_attention_equals_the_batched_products_used_for_short_sequences(
    small: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arc_eval.models.attention.SHORT", 0)
    with torch.no_grad():
        assert_same(small.velocity(1.0)(small.io["x"], small.io["t"]), small.io["dit.out"])
