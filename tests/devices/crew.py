"""The work of the two processes of `test_devices`. A new process finds it here by its name."""

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
from torch import Tensor, nn
from torch.nn import BatchNorm2d

from dcgan.config import Config
from dcgan.data import mnist
from dcgan.devices.processes import TrainingStopped
from dcgan.models import groups
from dcgan.presets import configure
from dcgan.training import loop, start, step, validate
from dcgan.training.callbacks import EndEvent, StartEvent
from dcgan.training.networks import NO_CUSTOM_PARTS
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from tests.conftest import SMALL

# Without normalization and with a tiny learning rate, an update does not change what the next one computes.
INDEPENDENT_UPDATES = {**SMALL, "g_norm": "none", "d_norm": "none", "lr": 1e-12}
MATCH = {"g_norm": "batch", "d_norm": "batch", "d_width": 16, "groups": 4, "z_dim": 24}
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "augmented": ("dcgan", {"augment": "flip+diffaugment"}, 0),
    "uneven": ("dcgan", {"share_z": True}, 32),  # 9 of the 41 pictures are left
    "gp": ("wgan-gp", {"n_critic": 2, "batch_size": 16}, 16),
    # One picture is left, for one of the processes; the generator's update uses the next twenty.
    "empty": ("r3gan", {"batch_size": 20}, 40),
    "classes": ("cgan", {}, 0),
    "groups": ("fast", {"groups": 4, "augment": "none"}, 0),
    "groups of classes": ("fast", {"groups": 4, "augment": "none", "conditional": True}, 0),
    "match, uneven": ("match", MATCH, 32),
    "match, empty": ("match", MATCH, 40),
}
"""Preset, settings and images seen of the updates whose gradients are compared."""


def compute_gradients(fabric: Fabric | None, data: Path) -> dict[str, Tensor]:
    """Return the gradients of both networks, and the sums for the log, after one step of each case."""
    tensors = {}
    for name, (preset, change, images_seen) in CASES.items():
        # The second process finds other groups, so that it must be given those of the first.
        is_first = fabric is None or fabric.is_global_zero
        find_group_centers = groups.find_group_centers if is_first else _find_other_centers
        with (
            patch.object(groups, "IMAGES_PER_GROUP", 10),
            patch.object(groups, "IMAGES_PER_MATCHED_GROUP", 10),
            patch.object(groups, "find_group_centers", find_group_centers),
        ):
            state = set_up(configure(preset, data=str(data), **INDEPENDENT_UPDATES | change), fabric=fabric)
        state.progress.images_seen = images_seen
        if preset == "match":  # its generator has BatchNorm, which would use each process's own part of the batch
            for layer in state.generator.modules():
                layer.train(not isinstance(layer, BatchNorm2d))
        step.train_step(state)
        for part, network in (("g", state.generator), ("d", state.discriminator)):
            weights = () if network is None else network.parameters()
            tensors |= {f"{name}/{part}/{i}": p.grad.contiguous() for i, p in enumerate(weights)}
        tensors[f"{name}/totals"] = state.sums.totals
    return tensors


_find_group_centers = groups.find_group_centers


def _find_other_centers(*args: Any) -> Tensor:
    return _find_group_centers(*args).flip(0)


def config_for_two(**change: Any) -> Config:
    return configure("dcgan", **SMALL | {"devices": 2, "steps": 7} | change)


def train(fabric: Fabric, out: Path, *, callbacks: tuple[Any, ...] = (), **change: Any) -> None:
    config = config_for_two(**change)
    start._train(fabric, print, config=config, out=out, custom=NO_CUSTOM_PARTS, callbacks=callbacks)


def resume(fabric: Fabric, path: Path, **changes: Any) -> None:
    start._resume(fabric, print, path=path, custom=NO_CUSTOM_PARTS, changes=changes)


def train_twenty_steps(fabric: Fabric, announce: Callable[[str], None], *, data: Path, out: Path) -> str:
    """Train without BatchNorm for 20 steps; the first process writes the weights, and which pictures all have seen."""
    state = set_up(equal_config(data, devices=fabric.world_size), fabric=fabric)
    tensors = weights_after_twenty_steps(state)
    if fabric.is_global_zero:
        save_file(tensors, out)
    return str(out)


def equal_config(data: Path, **change: Any) -> Config:
    return configure("dcgan", **SMALL | {"data": str(data), "g_norm": "none", "d_norm": "none"} | change)


def weights_after_twenty_steps(state: State) -> dict[str, Tensor]:
    """Return the weights of both networks, and the pictures of all processes in the order in which they come."""
    seen = []
    for _ in range(20):
        seen.append(step.next_batch(state).gather(step.next_reals(state)[0]))
        step.train_step(state)
    networks = {"g": state.generator, "d": state.discriminator}
    weights = {
        f"{part}/{i}": p.detach().contiguous()
        for part, network in networks.items()
        for i, p in enumerate(cast(nn.Module, network).parameters())
    }
    return weights | {"seen": torch.cat(seen).contiguous()}


def work(fabric: Fabric, announce: Callable[[str], None], *, folder: Path) -> str:
    """Do everything whose results `test_devices` examines."""
    mnist._unpack = cache(mnist._unpack)  # as in `conftest`: many trainings, one decompression
    gradients = compute_gradients(fabric, folder / "data.npz")
    if fabric.is_global_zero:
        save_file(gradients, folder / "gradients.safetensors")
    check_equal_weights(fabric)
    train(fabric, folder / "whole")
    train(fabric, folder / "part", steps=4)
    resume(fabric, folder / "part", steps=7)
    train_until_signal(fabric, folder / "stopped")
    train_with_fault(fabric, folder / "faulty")
    train_until_callback_stops(fabric, folder / "callbacks")
    validate.SAMPLE_COUNT = 64
    few_images = {"data": str(folder / "data.npz"), "image_size": 28}
    train(fabric, folder / "patience", steps=50, evaluate_every=1, patience=2, lr=0.5, **few_images)
    train(fabric, folder / "minutes", steps=None, minutes=0.002)
    return str(folder)


def check_equal_weights(fabric: Fabric) -> None:
    """Check that the processes do the same steps although BatchNorm uses each one's own part of the batch.

    D scores fakes and reals before one backward. Where torch has the fault pytorch#175024 (2.6 and some later
    versions), that fails if BatchNorm's buffers are broadcast at every forward.
    """
    state = set_up(config_for_two(lr=1e-2), fabric=fabric)
    assert not state.discriminator._forward_module.broadcast_buffers
    for _ in range(3):
        step.train_step(state)
    own = torch.cat([p.detach().flatten() for p in (*state.generator.parameters(), *state.ema.network.parameters())])
    for values in (own, own.square()):
        maximum, minimum = (cast(Tensor, fabric.all_reduce(values.clone(), reduce_op=op)) for op in ("max", "min"))
        assert torch.equal(maximum, minimum)


def train_until_signal(fabric: Fabric, out: Path) -> None:
    """Train until the second process gets a signal: both stop."""

    def signaled_step(state: State) -> None:
        step.train_step(state)
        if state.progress.step == 4 and fabric.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with patch.object(loop, "train_step", signaled_step):
        try:
            train(fabric, out)
        except TrainingStopped as stop:
            (out.parent / f"stopped {fabric.global_rank}").write_text(str(stop.exit_status))


def train_with_fault(fabric: Fabric, out: Path) -> None:
    """Train with a batch that is not finite in the second process: both go back."""
    next_reals = step.next_reals

    def faulty_reals(state: State) -> Any:
        images, condition = next_reals(state)
        is_faulty = state.progress.step == 4 and fabric.global_rank == 1 and not state.progress.recoveries
        return (images * math.nan if is_faulty else images), condition

    with patch.object(step, "next_reals", faulty_reals):
        train(fabric, out)


class StopAfterFourSteps:
    """A callback that asks for a stop and writes which events its process has received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers = 0

    def on_start(self, event: StartEvent) -> None:
        self._write(f"start {event.step}")

    def should_stop(self) -> bool:
        self.answers += 1
        return self.answers == 4

    def on_end(self, event: EndEvent) -> None:
        self._write(f"end {event.step} {event.reason}")

    def _write(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(line + "\n")


def train_until_callback_stops(fabric: Fabric, out: Path) -> None:
    """Train until a callback asks for a stop. Only the first process has callbacks: both stop."""
    train(fabric, out, callbacks=(StopAfterFourSteps(out.parent / f"events {fabric.global_rank}"),))
    (out.parent / f"returned {fabric.global_rank}").touch()
