"""The work of the two processes of `test_split_data`. A new process finds it here by its name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file

from dcgan.config import Config
from dcgan.devices.connect import gather_over_ranks
from dcgan.models import groups
from dcgan.presets import configure
from dcgan.training import start, step
from dcgan.training.networks import NO_CUSTOM_PARTS
from dcgan.training.set_up import set_up
from tests.conftest import SMALL
from tests.devices.crew import INDEPENDENT_UPDATES

IMAGES_SEEN = (0, 32, 64)
"""Where gradients are compared. The last batch of the epoch, after 64 of 72 images, is shorter."""


def config_of(folder: Path, preset: str = "dcgan", **change: Any) -> Config:
    return configure(preset, data=str(folder / "shards"), **SMALL | {"split_data": True, "devices": 2} | change)


def save_gradients(fabric: Fabric, folder: Path) -> None:
    """Save the real pictures of a batch, in the order of the ranks, and the gradients of both networks."""
    saved = {}
    for images_seen in IMAGES_SEEN:
        config = config_of(folder, **INDEPENDENT_UPDATES | {"batch_size": 32})
        state = set_up(config, fabric=fabric)
        state.progress.images_seen = images_seen
        weight, reals = step.next_batch(state).weight, step.next_reals(state)[0]
        step.train_step(state)
        gathered = [part for part, part_weight in gather_over_ranks(fabric, (reals, weight)) if part_weight]
        saved[f"{images_seen}/reals"] = torch.cat(gathered).contiguous()
        for part, network in (("g", state.generator), ("d", state.discriminator)):
            for i, parameter in enumerate(network.parameters()):
                saved[f"{images_seen}/{part}/{i}"] = parameter.grad.contiguous()
    if fabric.is_global_zero:
        save_file(saved, folder / "gradients.safetensors")


def train(fabric: Fabric, out: Path, config: Config) -> None:
    start._train(fabric, print, config=config, out=out, custom=NO_CUSTOM_PARTS)


def work(fabric: Fabric, announce: Callable[[str], None], *, folder: Path) -> str:
    """Do everything whose results `test_split_data` examines."""
    save_gradients(fabric, folder)
    resume = partial(start._resume, fabric, print, custom=NO_CUSTOM_PARTS)
    with patch.object(groups, "IMAGES_PER_GROUP", 10):
        for name, change in (("dcgan", {}), ("fast", {"conditional": True, "groups": 6})):
            train(fabric, folder / f"{name}-whole", config_of(folder, name, steps=7, **change))
            train(fabric, folder / f"{name}-part", config_of(folder, name, steps=4, **change))
            resume(path=folder / f"{name}-part", changes={"steps": 7})
    return str(folder)
