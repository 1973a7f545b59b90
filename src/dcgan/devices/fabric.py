"""Lightning Fabric for the settings of a run: see docs/scaling.md. It is imported only if needed: see `single`."""

import logging
from inspect import signature
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.imports import _IS_INTERACTIVE
from torch.nn.parallel import DistributedDataParallel

from dcgan.config import Config
from dcgan.devices.launcher import RANK_TIMEOUT, LaunchedProcess, detect_launcher
from dcgan.errors import UserError

# If buffers are broadcast, D's second forward before its backward changes in place what the graph of the first one
# needs (pytorch#175024: torch 2.6 and some later versions). Nothing is lost without it: BatchNorm normalizes with its
# batch while training. Newer versions of torch have another name for the option.
_NAMES = signature(DistributedDataParallel).parameters
NO_BUFFER_BROADCAST: dict[str, Any] = {
    next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in _NAMES): False
}

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # otherwise every process prints a greeting


class Bf16(MixedPrecision):
    """bf16 mixed precision. It needs no gradient scaler: backward is torch's own, so penalties can differentiate."""

    backward = Precision.backward


def connect_fabric(config: Config, kind: str) -> Fabric:
    """Return Fabric for these settings on devices of a kind, `cpu`, `cuda` or `mps`, with a process for each device.

    Raises:
        UserError: there are no such devices here.
    """
    launched = detect_launcher()
    precision = Bf16("bf16-mixed", kind) if config.precision == "bf16" else Precision()
    if config.devices * config.num_nodes == 1:
        return Fabric(accelerator=kind, devices=1, plugins=[precision])
    _check_devices(config, kind, launched)
    return Fabric(
        accelerator=kind,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=DDPStrategy(
            start_method="popen" if launched else "spawn",
            timeout=RANK_TIMEOUT,
            **NO_BUFFER_BROADCAST,
        ),
        plugins=[precision, _cluster_environment(launched)],
    )


def _check_devices(config: Config, kind: str, launched: LaunchedProcess | None) -> None:
    """Refuse more devices than there are, and a batch that has no picture for some of them."""
    ranks = config.devices * config.num_nodes
    if kind == "mps" or (kind == "cuda" and torch.cuda.device_count() < config.devices):
        count = torch.cuda.device_count() if kind == "cuda" else 1
        raise UserError(f"there is {count} {kind} device here, not {config.devices}: give a lower --devices")
    if config.batch_size < ranks:
        raise UserError(f"--batch-size is over all devices: it must be at least {ranks}, not {config.batch_size}")
    if config.num_nodes > 1 and not launched:
        raise UserError(
            f"--num-nodes {config.num_nodes} needs a launcher on every machine, torchrun or srun: see docs/scaling.md"
        )
    if _IS_INTERACTIVE and not launched:
        raise UserError("several devices need processes, which a notebook cannot start: use the command dcgan train")


def _cluster_environment(launched: LaunchedProcess | None) -> ClusterEnvironment:
    if not launched:
        return LightningEnvironment()
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else SLURMEnvironment(auto_requeue=False)
