"""Where a training computes: a device, and how many processes share the work.

Processes form a grid of `copies` x `shards`: each of the `shards` processes of a row holds its part of
one copy of the networks (FSDP), and rows average what they learn (DDP is a grid with one column). The
grid changes the speed and the memory, never the result beyond rounding: every process draws the whole
batch's random numbers and works on its own rows of it.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from arc_eval.errors import TrainingError
from arc_eval.models.attention import Block
from arc_eval.models.conditioning import Conditioner
from arc_eval.models.discriminator import ConvHead
from arc_eval.models.dit import DiT


@dataclass(frozen=True)
class Place:
    """A device of one process, and its number among all of them."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    processes: int = 1
    grid: DeviceMesh | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes logs and files."""
        return self.rank == 0

    def rows(self, batch: int) -> range:
        """The rows of a batch that this process works on; they differ by at most one among processes."""
        return range(batch * self.rank // self.processes, batch * (self.rank + 1) // self.processes)

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes of float64[value]."""
        if self.processes > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values.cpu()

    def spread(self, network: nn.Module) -> None:
        """Shards and copies the network's transformers, conditioners and heads over the grid, in place.

        Raises TrainingError if the network has none of them.
        """
        if self.grid is None:
            return
        whole = [part for part in network.modules() if isinstance(part, DiT | Conditioner | ConvHead)]
        if not whole:
            name = type(network).__name__
            raise TrainingError(f"a {name} trains in one process; start it without torchrun")
        for part in whole:
            for block in part.modules():
                if isinstance(block, Block):
                    fully_shard(block, mesh=self.grid)
            if any(parameter.requires_grad for parameter in part.parameters()):
                fully_shard(part, mesh=self.grid)
                if isinstance(part, DiT):
                    register_fsdp_forward_method(part, "hidden")

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What is inside is done by the leading process, then by the others, who find it done."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.processes > 1:
            dist.barrier()


ALONE = Place()
"""The CPU of this process."""


def synchronise(network: nn.Module, now: bool) -> None:
    """Whether the next backward pass exchanges gradients: only a batch's last part needs to."""
    for part in network.modules():
        if isinstance(part, FSDPModule):
            part.set_requires_gradient_sync(now, recurse=False)


@contextmanager
def without_gradients(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, no gradient is computed of the networks' weights, only of what passes through them."""
    trained = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def local(parameter: Tensor) -> Tensor:
    """The part of a parameter that this process holds."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def whole(value: Tensor) -> Tensor:
    """A tensor with the parts of all processes; every process must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


@contextmanager
def working_place(device: str = "cpu", shards: int = 1) -> Iterator[Place]:
    """This process's place: alone, or one of those that `torchrun` started.

    shards: how many processes hold one copy of the networks between them. Raises TrainingError if the
    device is not there or `shards` does not divide the processes.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes % shards:
        raise TrainingError(f"shards: {shards} does not divide the {processes} processes; start more of them")
    if processes == 1:
        yield Place(_device(device))
        return
    rank, here = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    place = _device(f"{device}:{here}" if device == "cuda" else device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    # The others wait while the leading process encodes the recordings.
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=timedelta(days=1))
    try:
        shape, names = (processes // shards, shards), ("copies", "shards")
        grid = init_device_mesh(place.type, shape, mesh_dim_names=names)
        yield Place(place, rank, processes, grid)
    finally:
        # Sharded networks hold their groups in circles; freed only as Python ends, they can abort it.
        gc.collect()
        dist.destroy_process_group()


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise TrainingError(f"device {name!r} cannot be used here: {first}; cpu always can") from error
    return device
