"""The samplers of latent models by name: each with its schedule and how a clip begins.

A clip begins as noise, or, for style transfer, as another clip's latents with noise up to a level in
(0, 1]; at level 1 nothing of that clip is left, and the samplers here take it away altogether.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from torch import Tensor

from arc_eval import contracts
from arc_eval.brownian import BrownianTree
from arc_eval.errors import suggest
from arc_eval.models.config import Objective
from arc_eval.samplers.ddim import ddim
from arc_eval.samplers.kdiffusion import StepNoise, dpmpp_2m_sde, dpmpp_3m_sde
from arc_eval.samplers.ode import dpmpp_2m, euler
from arc_eval.samplers.paths import COSINE, STRAIGHT, Path
from arc_eval.samplers.pingpong import pingpong
from arc_eval.samplers.schedule import linear_times, log_snr_times, polyexponential_sigmas
from arc_eval.samplers.vdiffusion import Denoiser, denoiser, sigma_of_time
from arc_eval.samplers.velocity import Velocity
from arc_eval.seeding import clip_generators, clip_noise


class Noise:
    """All that the clips of a batch may draw, each from its own seed: float32[clip, *shape] on `device`."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], device: contracts.Device) -> None:
        self.seeds, self.shape, self.device = seeds, shape, device
        self._streams = clip_generators(seeds)

    def fresh(self) -> Tensor:
        """The next standard normal draw of each clip."""
        return clip_noise(self._streams, self.shape).to(self.device)

    def between(self, sigma_min: float, sigma_max: float) -> StepNoise:
        """A Brownian motion of each clip: standard normal increments between two noise levels."""
        tree = BrownianTree(self.seeds, self.shape, sigma_min, sigma_max)
        return lambda sigma, later: tree(sigma, later).to(self.device)


@dataclass(frozen=True)
class Start:
    """Where sampling begins: latents to change (none: from noise alone) and the level of noise on them."""

    latents: Tensor | None = None
    level: float = 1.0

    def noised(self, path: Path, noise: Tensor) -> Tensor:
        """The point of a path at the level."""
        if self.latents is None or self.level == 1:
            return noise
        return path.noised(self.latents, noise, noise.new_full((len(noise),), self.level))


class Sampler(Protocol):
    """Noise to latents."""

    path: ClassVar[Path]
    """What the outputs of the networks that it fits mean."""
    objectives: ClassVar[tuple[Objective, ...]]
    schedule: ClassVar[str]
    """When it visits the path, in words, options apart."""

    def sample(self, velocity: Velocity, noise: Noise, steps: int, start: Start) -> Tensor:
        """float[clip, channel, frame] after `steps` calls of the network."""
        ...


class _Options(contracts.Settings):
    """Every sampler's: no number in them is infinite or NaN."""

    model_config = ConfigDict(allow_inf_nan=False)


class _Straight(_Options):
    """Samplers of rectified flow, on the official schedule."""

    path: ClassVar[Path] = STRAIGHT
    objectives: ClassVar[tuple[Objective, ...]] = ("rectified_flow", "rf_denoiser")
    schedule: ClassVar[str] = "even log-snr to 2"

    log_snr_start: float = Field(-6.0, ge=-10, le=0)
    """Where the times of noise alone begin; stable-audio-tools has -6 up to 0.0.19 and -6.2 in 0.0.20."""

    def sample(self, velocity: Velocity, noise: Noise, steps: int, start: Start) -> Tensor:
        """See `Sampler`."""
        x = start.noised(self.path, noise.fresh())
        times = log_snr_times(steps, start.level, self.log_snr_start)
        return self._solve(velocity, x, times.to(x.device), noise)

    @abstractmethod
    def _solve(self, velocity: Velocity, x: Tensor, times: Tensor, noise: Noise) -> Tensor: ...


class PingPong(_Straight):
    """Jumps to the data and back to less noise; made for post-trained models."""

    kind: Literal["pingpong"] = "pingpong"

    def _solve(self, velocity: Velocity, x: Tensor, times: Tensor, noise: Noise) -> Tensor:
        return pingpong(velocity, x, times, noise.fresh)


class Euler(_Straight):
    """Follows the velocity straight to the next time."""

    kind: Literal["euler"] = "euler"

    def _solve(self, velocity: Velocity, x: Tensor, times: Tensor, noise: Noise) -> Tensor:
        return euler(velocity, x, times)


class DpmSolver2M(_Straight):
    """DPM-Solver++, second order."""

    kind: Literal["dpmpp-2m"] = "dpmpp-2m"

    def _solve(self, velocity: Velocity, x: Tensor, times: Tensor, noise: Noise) -> Tensor:
        return dpmpp_2m(velocity, x, times)


class _Stochastic(_Options):
    """Stochastic DPM-Solver++ for v-objective models, from `sigma_max` to `sigma_min` and then to data.

    The defaults are those recommended for Stable Audio Open 1.0.
    """

    path: ClassVar[Path] = COSINE
    objectives: ClassVar[tuple[Objective, ...]] = ("v",)
    schedule: ClassVar[str] = "polyexponential sigmas"

    sigma_min: float = Field(0.3, gt=0)
    sigma_max: float = Field(500.0, gt=0)
    rho: float = Field(1.0, gt=0)
    """Curvature of the schedule in log-sigma; 1 spaces it evenly."""
    eta: float = Field(1.0, ge=0)
    """Share of fresh noise; 0 follows the deterministic path."""

    @model_validator(mode="after")
    def _fall(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(
                f"sigma_min must lie below sigma_max, but {self.sigma_min:g} is not below {self.sigma_max:g}"
            )
        return self

    def sample(self, velocity: Velocity, noise: Noise, steps: int, start: Start) -> Tensor:
        """See `Sampler`. Sigma is the noise on data of scale 1: tan(pi t / 2)."""
        sigma = min(self.sigma_max, sigma_of_time(start.level))
        last = self._last(sigma)
        x = sigma * noise.fresh()
        if start.latents is not None and start.level < 1:
            x = start.latents + x
        sigmas = polyexponential_sigmas(steps, last, sigma, self.rho)
        return self._solve(denoiser(velocity), x, sigmas, noise.between(last, sigma))

    def _last(self, sigma: float) -> float:
        """The last level before data. Style transfer may begin near sigma_min or below it: then half of
        where it begins, so that there is room for any number of steps."""
        return min(self.sigma_min, sigma * max(0.5, self.sigma_min / self.sigma_max))

    @abstractmethod
    def _solve(self, denoise: Denoiser, x: Tensor, sigmas: Tensor, motion: StepNoise) -> Tensor: ...


class DpmSolver2MSde(_Stochastic):
    """Extrapolates the data from the last two steps."""

    kind: Literal["dpmpp-2m-sde"] = "dpmpp-2m-sde"

    def _solve(self, denoise: Denoiser, x: Tensor, sigmas: Tensor, motion: StepNoise) -> Tensor:
        return dpmpp_2m_sde(denoise, x, sigmas, motion, eta=self.eta)


class DpmSolver3MSde(_Stochastic):
    """Extrapolates the data from the last three steps; the recommended sampler of Stable Audio Open 1.0."""

    kind: Literal["dpmpp-3m-sde"] = "dpmpp-3m-sde"

    def _solve(self, denoise: Denoiser, x: Tensor, sigmas: Tensor, motion: StepNoise) -> Tensor:
        return dpmpp_3m_sde(denoise, x, sigmas, motion, eta=self.eta)


class Ddim(_Options):
    """DDIM for v-objective models, at times evenly spaced from noise to data."""

    path: ClassVar[Path] = COSINE
    objectives: ClassVar[tuple[Objective, ...]] = ("v",)
    schedule: ClassVar[str] = "linear times"

    kind: Literal["ddim"] = "ddim"
    eta: float = Field(0.0, ge=0, le=1)
    """Share of fresh noise; 0 is deterministic."""

    def sample(self, velocity: Velocity, noise: Noise, steps: int, start: Start) -> Tensor:
        """See `Sampler`."""
        x = start.noised(self.path, noise.fresh())
        times = linear_times(steps, start.level).to(x.device)
        return ddim(velocity, x, times, noise.fresh, eta=self.eta)


Kind = type[_Straight] | type[_Stochastic] | type[Ddim]
SAMPLERS: tuple[Kind, ...] = (PingPong, Euler, DpmSolver2M, DpmSolver2MSde, DpmSolver3MSde, Ddim)
KINDS = tuple(sampler.model_fields["kind"].default for sampler in SAMPLERS)


def fitting(objective: Objective) -> list[str]:
    """The names of the samplers for models of an objective."""
    return [kind for kind, sampler in zip(KINDS, SAMPLERS, strict=True) if objective in sampler.objectives]


def _by_name(data: Any) -> Any:
    """`euler` stands for `{kind: euler}`. Raises ValueError for an unknown name, with the near miss."""
    data = {"kind": data} if isinstance(data, str) else data
    if isinstance(data, dict) and data.get("kind") not in KINDS:
        raise ValueError(f"no sampler {data.get('kind')!r}; {suggest(str(data.get('kind')), KINDS)}")
    return data


AnySampler = Annotated[
    Annotated[
        PingPong | Euler | DpmSolver2M | DpmSolver2MSde | DpmSolver3MSde | Ddim, Field(discriminator="kind")
    ],
    BeforeValidator(_by_name),
]
"""A sampler in a suite: its name, or `{kind: name, ...}` with its own options."""
