"""The whole v path on Stable Audio Open 1.0's own design: finite, and every clip by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from arc_eval.brownian import BrownianTree
from arc_eval.models.conditioning import Conditioning
from arc_eval.models.config import load_config
from arc_eval.models.dit import DiT
from arc_eval.samplers.ddim import ddim
from arc_eval.samplers.guidance import guided
from arc_eval.samplers.kdiffusion import dpmpp_2m_sde, dpmpp_3m_sde
from arc_eval.samplers.paths import COSINE
from arc_eval.samplers.schedule import linear_times, polyexponential_sigmas
from arc_eval.samplers.vdiffusion import denoiser
from arc_eval.seeding import clip_generators, clip_noise

LOW, HIGH, STEPS = 0.3, 500.0, 6


@dataclass(frozen=True)
class Network:
    dit: DiT
    io: Mapping[str, Tensor]

    def velocity(self, clips: slice) -> Callable[[Tensor, Tensor], Tensor]:
        def velocity_of(x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
            return self.dit(x, t, conditioning.cross, conditioning.global_)  # type: ignore[no-any-return]

        conditioning = Conditioning(self.io["cross"][clips], self.io["global"][clips])
        return guided(velocity_of, conditioning, 7.0, path=COSINE, apg=0.5)


@pytest.fixture(scope="module")
def network(shared: Path) -> Network:
    folder, prefix = shared / "golden" / "sao1-mini", "model.model."
    dit = DiT(load_config(folder / "model_config.json").model.diffusion.config)
    weights = load_file(folder / "model.safetensors")
    dit.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    )
    return Network(dit.eval().requires_grad_(False), load_file(folder / "io.safetensors"))


def stochastic(solve: Callable[..., Tensor]) -> Callable[[Network, slice], Tensor]:
    def sample(network: Network, clips: slice) -> Tensor:
        seeds = [11, 22][clips]
        shape = network.io["x"].shape[1:]
        x = HIGH * clip_noise(clip_generators(seeds), shape)
        noise = BrownianTree(seeds, shape, LOW, HIGH)
        sigmas = polyexponential_sigmas(STEPS, LOW, HIGH)
        return solve(denoiser(network.velocity(clips)), x, sigmas, noise)

    return sample


def implicit(network: Network, clips: slice) -> Tensor:
    streams, shape = clip_generators([11, 22][clips]), network.io["x"].shape[1:]
    x = clip_noise(streams, shape)
    return ddim(network.velocity(clips), x, linear_times(STEPS), lambda: clip_noise(streams, shape), eta=0.5)


@pytest.mark.parametrize("sample", [stochastic(dpmpp_3m_sde), stochastic(dpmpp_2m_sde), implicit])
def test_a_clip_is_finite_and_the_same_alone_and_in_company(
    network: Network, sample: Callable[[Network, slice], Tensor]
) -> None:
    together = sample(network, slice(0, 2))
    alone = torch.cat([sample(network, slice(clip, clip + 1)) for clip in range(2)])
    assert together.isfinite().all()
    assert float((together - alone).norm() / alone.norm()) < 1e-5
