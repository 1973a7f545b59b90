"""What the two processes of `test_devices` do. They find it here by its name, as every new process does."""

import math
import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor

from dcgan.config import Config
from dcgan.data import mnist_bytes
from dcgan.devices.processes import TrainingStopped
from dcgan.models import groups
from dcgan.presets import configure
from dcgan.training import start, step, validate
from dcgan.training.networks import NO_CUSTOM_PARTS
from dcgan.training.state import State, set_up
from tests.conftest import SMALL

FREE = {**SMALL, "g_norm": "none", "d_norm": "none", "lr": 1e-12}  # so that an update changes nothing for the next
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "varied": ("dcgan", {"augment": "flip+diffaugment"}, 0),
    "uneven": ("dcgan", {"share_z": True}, 32),  # of 41 pictures 9 are left
    "gp": ("wgan-gp", {"n_critic": 2, "batch_size": 16}, 16),
    "nobody": ("r3gan", {"batch_size": 20}, 40),  # one is left, for one process; the generator sees the next twenty
    "classes": ("cgan", {}, 0),
    "look-alikes": ("fast", {"groups": 4, "augment": "none"}, 0),
    "of classes": ("fast", {"groups": 4, "augment": "none", "conditional": True}, 0),
}
"""Preset, settings and images seen of the updates whose gradients are compared."""


def gradients(fabric: Fabric | None, data: Path) -> dict[str, Tensor]:
    """The gradients of both networks, and the log's sums, after one step of each case."""
    found = {}
    for name, (preset, change, seen) in CASES.items():
        # the second process finds other groups: it must be told those of the first
        find = groups.find_centres if fabric is None or fabric.is_global_zero else _others
        with patch.object(groups, "IMAGES_PER_GROUP", 10), patch.object(groups, "find_centres", find):
            state = set_up(configure(preset, data=str(data), **FREE | change), fabric=fabric)
        state.images_seen = seen
        step.train_step(state)
        for part, network in (("g", state.generator), ("d", state.discriminator)):
            found |= {f"{name}/{part}/{i}": p.grad.contiguous() for i, p in enumerate(network.parameters())}
        found[f"{name}/totals"] = state.totals
    return found


_find = groups.find_centres


def _others(*args: Any) -> Tensor:
    return _find(*args).flip(0)


def both(**change: Any) -> Config:
    return configure("dcgan", **SMALL | {"devices": 2, "steps": 7} | change)


def train(fabric: Fabric, out: Path, **change: Any) -> None:
    start._train(fabric, print, config=both(**change), out=out, own=NO_CUSTOM_PARTS)


def resume(fabric: Fabric, path: Path, **given: Any) -> None:
    start._resume(fabric, print, path=path, own=NO_CUSTOM_PARTS, given=given)


def work(fabric: Fabric, tell: Callable[[str], None], *, place: Path) -> str:
    """Everything that is looked at afterwards."""
    mnist_bytes._unpack = cache(mnist_bytes._unpack)  # as in `conftest`: eight trainings, one lzma
    found = gradients(fabric, place / "data.npz")
    if fabric.is_global_zero:
        save_file(found, place / "gradients.safetensors")
    weights_are_equal(fabric)
    train(fabric, place / "whole")
    train(fabric, place / "part", steps=4)
    resume(fabric, place / "part", steps=7)
    interrupted(fabric, place / "stopped")
    spoiled(fabric, place / "spoiled")
    validate.SAMPLES = 64
    few = {"data": str(place / "data.npz"), "image_size": 28}
    train(fabric, place / "patient", steps=50, evaluate_every=1, patience=2, lr=0.5, **few)
    train(fabric, place / "timed", steps=None, minutes=0.002)
    return str(place)


def weights_are_equal(fabric: Fabric) -> None:
    """Each process has taken the same steps, with BatchNorm over its own part.

    D scores fakes and reals before one backward. Where torch has the fault pytorch#175024 (2.6 and some later ones),
    that fails if BatchNorm's buffers are sent around at every forward.
    """
    state = set_up(both(lr=1e-2), fabric=fabric)
    assert not state.discriminator._forward_module.broadcast_buffers
    for _ in range(3):
        step.train_step(state)
    own = torch.cat([p.detach().flatten() for p in (*state.generator.parameters(), *state.ema.network.parameters())])
    for numbers in (own, own.square()):
        greatest, least = (cast(Tensor, fabric.all_reduce(numbers.clone(), reduce_op=op)) for op in ("max", "min"))
        assert torch.equal(greatest, least)


def in_second(change: Callable[[State], None], fabric: Fabric, at: int) -> Callable[[State], None]:
    """An update after which something happens in the second process alone."""

    def update(state: State) -> None:
        step.train_step(state)
        if state.step == at and fabric.global_rank == 1 and not state.recoveries:
            change(state)

    return update


def interrupted(fabric: Fabric, out: Path) -> None:
    """Both stop where one was told to."""
    start.update = in_second(lambda state: os.kill(os.getpid(), signal.SIGTERM), fabric, 4)
    try:
        train(fabric, out)
    except TrainingStopped as stop:
        (out.parent / f"stopped {fabric.global_rank}").write_text(str(stop.status))
    start.update = step.train_step


def spoiled(fabric: Fabric, out: Path) -> None:
    """Both go back where one was given a picture that is none."""
    real = step.next_reals

    def reals(state: State) -> Any:
        images, given = real(state)
        is_bad = state.step == 4 and fabric.global_rank == 1 and not state.recoveries
        return (images * math.nan if is_bad else images), given

    step.next_reals = reals
    train(fabric, out)
    step.next_reals = real
