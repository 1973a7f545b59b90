"""The devices that a run trains on, and how their processes agree, through Lightning Fabric: see docs/scaling.md."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dcgan.config import Config
from dcgan.devices.launcher import RANK_TIMEOUT, detect_launcher
from dcgan.devices.single import SingleDevice
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.system.console import print_message
from dcgan.system.threads import fix_thread_count

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
COMPILE_BACKEND = "inductor"
"""The backend of `torch.compile`."""
Devices = Union["Fabric", SingleDevice]
"""What a run trains on."""


def with_launcher_devices(config: Config) -> Config:
    """Return the settings with the launcher's numbers of devices and machines, if a launcher started this process."""
    launched = detect_launcher()
    return replace(config, devices=launched.devices, num_nodes=launched.nodes) if launched else config


def connect_devices(config: Config) -> Devices:
    """Return the devices of these settings: a single process, or this process as one of several.

    Raises:
        UserError: there are no such devices here.
    """
    fix_thread_count()
    kind = _device_kind(config)
    if kind == "cpu" and config.devices * config.num_nodes == 1 and config.precision == "32":
        return SingleDevice()
    from dcgan.devices.fabric import connect_fabric  # only here, because importing Fabric takes 1.3 s

    return connect_fabric(config, kind)


def check_device(device: str) -> None:
    """Check that torch can compute on a device, such as `cpu`, `cuda` or `cuda:1`.

    Raises:
        UserError: there is no such device here, or no device has this name.
    """
    kind, _, number = device.partition(":")
    counts = _device_counts()
    if kind not in counts or (":" in device and not number.isdecimal()):
        raise UserError(f"the device must be {', '.join(counts)}, not {printable(device)}")
    if not counts[kind]:
        raise UserError(f"there is no {kind} device here: use --device cpu, or leave --device out")
    if int(number or 0) >= counts[kind]:
        raise UserError(f"there is no device {device} here: {kind} devices have the numbers 0 to {counts[kind] - 1}")


def _device_kind(config: Config) -> str:
    if config.device == "auto":
        return next(name for name, count in _device_counts().items() if count)
    check_device(config.device)
    return config.device


def _device_counts() -> dict[str, int]:
    """Return how many devices of each kind there are here."""
    cuda_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {"cuda": cuda_count, "mps": int(torch.backends.mps.is_available()), "cpu": 1}


def synchronize_batchnorm(network: nn.Module, fabric: Devices) -> nn.Module:
    """Return a network whose BatchNorm layers use the batch of all GPUs.

    On CPUs the network is returned as it is: torch has no such layer for them, and each process normalizes with its own
    part of the batch.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(network))  # type: ignore[no-untyped-call]


def can_compile(device: torch.device) -> bool:
    """Return whether torch can compile networks for a device here. It looks for a compiler when it is first used."""
    try:
        torch.compile(torch.add, backend=COMPILE_BACKEND)(torch.zeros(2, device=device), 1)
        if device.type == "cuda":
            _compile_transposed_convolutions(device)
    except Exception as error:  # every backend reports in its own way that something is missing
        reason = printable(" ".join(str(error).split())[:200])
        print_message(f"--compile is ignored: these networks cannot be compiled for {device.type} here ({reason})")
        return False
    return True


def _compile_transposed_convolutions(device: torch.device) -> None:
    """Do what some versions of torch compile wrongly for CUDA, 2.11 among them (pytorch#171622); raise if this does."""
    layers = nn.Sequential(nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1))
    layers.to(device).to(memory_format=torch.channels_last).compile(backend=COMPILE_BACKEND)
    images = torch.zeros(2, 16, 4, 4, device=device, requires_grad=True).contiguous(memory_format=torch.channels_last)
    layers(images).sum().backward()


def mean_over_ranks(fabric: Devices, value: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes."""
    if fabric.world_size == 1:
        return value
    assert not isinstance(fabric, SingleDevice)
    return cast(Tensor, fabric.all_reduce(value, reduce_op="mean"))


def sum_over_ranks(fabric: Devices, value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if fabric.world_size == 1:
        return value
    assert not isinstance(fabric, SingleDevice)
    return cast(Tensor, fabric.all_reduce(value, reduce_op="sum"))


def max_over_ranks(fabric: Devices, *values: int) -> list[int]:
    """Return the maximum of each number over all processes. The processes communicate, on GPUs too, not the devices."""
    if fabric.world_size == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.int64)
    dist.all_reduce(numbers, dist.ReduceOp.MAX, group=process_group(dist.group.WORLD))
    return list(map(int, numbers))


def gather_over_ranks(fabric: Devices, value: T) -> list[T]:
    """Return the values of all processes in the order of their ranks. They are pickled, so they should be small."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    dist.all_gather_object(values, value, group=process_group(dist.group.WORLD))
    return values


def barrier(fabric: Devices) -> None:
    """Wait until every process has come here."""
    max_over_ranks(fabric, 0)


@lru_cache(maxsize=1)
def process_group(world: Any) -> Any:
    """Return the group in which the processes communicate: the devices' own if that is gloo, else a second one."""
    return world if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=RANK_TIMEOUT)


@contextmanager
def first_process_first(fabric: Devices) -> Iterator[None]:
    """Run the block in the first process of each machine before the others, so that they find what it prepares."""
    if fabric.local_rank:
        barrier(fabric)
    yield
    if not fabric.local_rank:
        barrier(fabric)
