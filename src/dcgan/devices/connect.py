"""The devices that a run trains on, and what they tell each other, through Lightning Fabric: docs/scaling.md."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Union, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dcgan.config import Config
from dcgan.devices.launcher import RANK_TIMEOUT, detect_launcher
from dcgan.devices.single import SingleDevice
from dcgan.errors import UserError
from dcgan.files import printable

if TYPE_CHECKING:
    from lightning_fabric import Fabric

COMPILE_BACKEND = "inductor"
"""The backend of `torch.compile`."""
Devices = Union["Fabric", SingleDevice]
"""What a run trains on."""


def with_launcher_devices(config: Config) -> Config:
    """The settings with the numbers of devices and machines that this process was started among, if a launcher did."""
    found = detect_launcher()
    return replace(config, devices=found.devices, num_nodes=found.nodes) if found else config


def connect_devices(config: Config) -> Devices:
    """What these settings train on: one process, or one of as many as there are devices.

    Raises:
        UserError: there are no such devices here.
    """
    kind = _kind(config)
    if kind == "cpu" and config.devices * config.num_nodes == 1 and config.precision == "32":
        return SingleDevice()
    from dcgan.devices.fabric import connect_fabric

    return connect_fabric(config, kind)


def _kind(config: Config) -> str:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(name for name, is_there in there.items() if is_there) if config.device == "auto" else config.device
    if not there[kind]:
        raise UserError(f"there is no {kind} device here: use --device cpu, or leave --device out")
    return kind


def synchronize_batchnorm(network: nn.Module, fabric: Devices) -> nn.Module:
    """A network as it trains on several devices: on GPUs its BatchNorm layers see the batch of all of them.

    Not on CPUs, for which torch has no such layer: there each normalises with its own part.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(network))  # type: ignore[no-untyped-call]


def can_compile(device: torch.device) -> bool:
    """Whether torch can compile for a device here: it needs a compiler, which it looks for when first used."""
    try:
        torch.compile(torch.add, backend=COMPILE_BACKEND)(torch.zeros(2, device=device), 1)
    except Exception as error:  # every backend has its own way to say that something is missing
        reason = printable(" ".join(str(error).split())[:200])
        print(f"--compile is left out: nothing can be compiled for {device.type} here ({reason})", file=sys.stderr)
        return False
    return True


def mean_over_ranks(fabric: Devices, own: Tensor) -> Tensor:
    """The mean of a tensor over the devices."""
    if fabric.world_size == 1:
        return own
    assert not isinstance(fabric, SingleDevice)
    return cast(Tensor, fabric.all_reduce(own, reduce_op="mean"))


def max_over_ranks(fabric: Devices, *own: int) -> list[int]:
    """The greatest of each number over all processes. On GPUs too it is the processes that talk, not the devices."""
    if fabric.world_size == 1:
        return list(own)
    numbers = torch.tensor(own, dtype=torch.int64)
    dist.all_reduce(numbers, dist.ReduceOp.MAX, group=process_group(dist.group.WORLD))
    return list(map(int, numbers))


@lru_cache(maxsize=1)
def process_group(world: Any) -> Any:
    """The group over which the processes talk: the devices' own where that is gloo, else one beside it."""
    return world if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=RANK_TIMEOUT)


@contextmanager
def first_process_first(fabric: Devices) -> Iterator[None]:
    """Let the first process of each machine do something before the others: what it prepares they find."""
    if fabric.local_rank:
        max_over_ranks(fabric, 0)
    yield
    if not fabric.local_rank:
        max_over_ranks(fabric, 0)
