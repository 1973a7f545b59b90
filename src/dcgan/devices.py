"""The devices that a run trains on, and what they tell each other, through Lightning Fabric: docs/scaling.md."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from inspect import signature
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.imports import _IS_INTERACTIVE
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dcgan.config import Config, UserError
from dcgan.ranks import Launched, launched

TIMEOUT = timedelta(minutes=30)
"""How long a device waits for the others, while rank 0 measures or a machine is lost without a word. A process that
dies is noticed at once, because its connections close."""

# With True, D's second forward before its backward changes in place what the first one's graph needs (pytorch#175024:
# torch 2.6 and some later ones). Nothing is lost: BatchNorm normalises with its batch while training. Newer versions of
# torch have another name for it.
_NAMES = signature(DistributedDataParallel).parameters
NO_BUFFERS: dict[str, Any] = {
    next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in _NAMES): False
}

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would greet from every process


class Bf16(MixedPrecision):
    """bf16 where it is safe. It needs no gradient scaler, so backward is torch's own: penalties differentiate too."""

    backward = Precision.backward


def here(config: Config) -> Config:
    """The settings with the numbers of devices and machines that this process was started among, if a launcher did."""
    found = launched()
    return replace(config, devices=found.devices, num_nodes=found.nodes) if found else config


def connect(config: Config) -> Fabric:
    """Fabric for these settings: one process, or one of as many as there are devices.

    Raises:
        UserError: there are no such devices here.
    """
    kind, found = _kind(config), launched()
    precision = Bf16("bf16-mixed", kind) if config.precision == "bf16" else Precision()
    if config.devices * config.num_nodes == 1:
        return Fabric(accelerator=kind, devices=1, plugins=[precision])
    _check_there_are(config, kind, found)
    return Fabric(
        accelerator=kind,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=DDPStrategy(
            start_method="popen" if found else "spawn",
            timeout=TIMEOUT,
            **NO_BUFFERS,
        ),
        plugins=[precision, _environment(found)],
    )


def _kind(config: Config) -> str:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(name for name, is_there in there.items() if is_there) if config.device == "auto" else config.device
    if not there[kind]:
        raise UserError(f"there is no {kind} device here: use --device cpu, or leave --device out")
    return kind


def _check_there_are(config: Config, kind: str, found: Launched | None) -> None:
    """Refuse more devices than there are, and what no process could work on."""
    ranks = config.devices * config.num_nodes
    if kind == "mps" or (kind == "cuda" and torch.cuda.device_count() < config.devices):
        count = torch.cuda.device_count() if kind == "cuda" else 1
        raise UserError(f"there is {count} {kind} device here, not {config.devices}: give a lower --devices")
    if config.batch_size < ranks:
        raise UserError(f"--batch-size is over all devices: it must be at least {ranks}, not {config.batch_size}")
    if config.num_nodes > 1 and not found:
        raise UserError(
            f"--num-nodes {config.num_nodes} needs a launcher on every machine, torchrun or srun: see docs/scaling.md"
        )
    if _IS_INTERACTIVE and not found:
        raise UserError("several devices need processes, which a notebook cannot start: use the command dcgan train")


def _environment(found: Launched | None) -> ClusterEnvironment:
    if not found:
        return LightningEnvironment()
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else SLURMEnvironment(auto_requeue=False)


def ready(network: nn.Module, fabric: Fabric) -> nn.Module:
    """A network as it trains on several devices: on GPUs its BatchNorm layers see the batch of all of them.

    Not on CPUs, for which torch has no such layer: there each normalises with its own part.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(network))  # type: ignore[no-untyped-call]


def mean(fabric: Fabric, own: Tensor) -> Tensor:
    """The mean of a tensor over the devices."""
    if fabric.world_size == 1:
        return own
    return cast(Tensor, fabric.all_reduce(own, reduce_op="mean"))


def greatest(fabric: Fabric, *own: int) -> list[int]:
    """The greatest of each number over all processes. On GPUs too it is the processes that talk, not the devices."""
    if fabric.world_size == 1:
        return list(own)
    numbers = torch.tensor(own, dtype=torch.int64)
    dist.all_reduce(numbers, dist.ReduceOp.MAX, group=processes(dist.group.WORLD))
    return list(map(int, numbers))


@lru_cache(maxsize=1)
def processes(world: Any) -> Any:
    """The group over which the processes talk: the devices' own where that is gloo, else one beside it."""
    return world if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=TIMEOUT)


@contextmanager
def first_alone(fabric: Fabric) -> Iterator[None]:
    """Let the first process of each machine do something before the others: what it prepares they find."""
    if fabric.local_rank:
        greatest(fabric, 0)
    yield
    if not fabric.local_rank:
        greatest(fabric, 0)
