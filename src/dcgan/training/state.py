"""The state of a training: networks, optimizers, averages and progress."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.config import DURATIONS, Config, config_to_json
from dcgan.data.location import absolute_path
from dcgan.data.open import ImageSet
from dcgan.data.sampler import next_batch_indices
from dcgan.devices.connect import (
    Devices,
)
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.training.checkpoint import Part as SavedPart
from dcgan.training.ema import Ema
from dcgan.training.losses import Objective
from dcgan.training.matching import FROZEN_NETWORK_SHA256, Matcher
from dcgan.training.progress import CheckpointRecord, Progress
from dcgan.training.recording import StepRecorder

SUM_NAMES = ("loss_d", "loss_g", "d_real", "d_fake", "d_right", "grad_d", "grad_g")
"""What is summed over the steps between two measurements. The count of discriminator updates comes last."""
GENERATOR_SUM_NAMES = ("loss_g", "grad_g")
"""Those that are measured without a discriminator. The count is then that of generator updates."""
VECTOR_INSTRUCTIONS = re.compile(r"( threads), \w+\)")
"""The part of `describe_arithmetic` that names the vector instructions of a CPU."""
GROUPS_NAME = "groups"
"""The name in a checkpoint of the group of each picture. Earlier versions did not save it: there, the pixels say it."""
PLACE_SETTINGS = ("device", "devices", "num_nodes")
CHANGEABLE_SETTINGS = {
    *("preset", "data", "init", "log_every", "save_every", "evaluate_every", "patience", "logger"),
    *PLACE_SETTINGS,
    *DURATIONS,
}
"""Settings that may change when a run is resumed. The pictures may have moved: the key of their content is compared."""


@dataclass
class StepSums:
    """Sums over the steps since the last measurement. They are kept on the device, so that no step waits for it.

    Attributes:
        totals: the sums of `SUM_NAMES` and the number of discriminator updates, (8,).
        fault: 0, or the number of the first value of a step that was not finite: see `recovery`. A scalar.
    """

    totals: Tensor
    fault: Tensor

    def means(self, names: Sequence[str] = SUM_NAMES) -> dict[str, float]:
        """Return the means of some of `SUM_NAMES` over discriminator updates. The host waits for the device here."""
        *sums, count = self.totals.tolist()
        return {name: value / count for name, value in zip(SUM_NAMES, sums, strict=True) if name in names}

    def set_totals(self, totals: list[float]) -> None:
        """Continue from sums that were saved."""
        self.totals.copy_(self.totals.new_tensor(totals))


@dataclass(kw_only=True)
class State:
    """Everything that a step reads or changes.

    Attributes:
        config: the settings, all resolved.
        fabric: the devices.
        data: the pictures that are trained on; with `split_data` those of this process.
        data_source: what they are opened by: a name, or the absolute path where they are now.
        conditions: the class or the group of each picture, int64 (N,), if the networks are given one.
        objective: what the two networks minimize.
        generator: the generator, set up on the device.
        discriminator: the discriminator, set up on the device; None if the objective has none.
        optimizer_g: the generator's optimizer.
        optimizer_d: the discriminator's optimizer, if there is one.
        matcher: what the generator matches instead of a discriminator, if there is none.
        ema: the averaged generator.
        sums: sums since the last measurement.
        progress: how far the run is.
        notice: a line about the groups for the user; empty if there is nothing to say.
        part_sizes: the training pictures that each process holds, if `split_data` divides them; otherwise none.
        has_own_networks: whether a network is the user's own, whose layers may draw random numbers.
        recorder: records the steps on a GPU, where they can be recorded.
    """

    config: Config
    fabric: Devices
    data: ImageSet
    data_source: str
    conditions: Tensor | None
    objective: Objective
    generator: nn.Module
    discriminator: nn.Module | None
    optimizer_g: Optimizer
    optimizer_d: Optimizer | None
    matcher: Matcher | None
    ema: Ema
    sums: StepSums
    progress: Progress
    notice: str = ""
    part_sizes: tuple[int, ...] = ()
    has_own_networks: bool = False
    recorder: StepRecorder | None = None

    @property
    def picture_count(self) -> int:
        """The pictures that are trained on, of all processes together."""
        return sum(self.part_sizes) or len(self.data)

    def batch_indices(self, images_seen: int) -> Tensor:
        """Return the indices of the batch over all devices that follows `images_seen` images, int64 (B,)."""
        device = self.data.pixels.device
        return next_batch_indices(self.picture_count, self.config.batch_size, images_seen, self.config.seed, device)

    @property
    def part_count(self) -> int | None:
        """The number of processes that the data are divided among; None if each holds all of them."""
        return len(self.part_sizes) or None

    @property
    def adversary(self) -> tuple[nn.Module, Optimizer]:
        """The discriminator and its optimizer, which there are unless there is a matcher."""
        assert self.discriminator is not None
        assert self.optimizer_d is not None
        return self.discriminator, self.optimizer_d

    @property
    def class_count(self) -> int:
        """How many classes can be asked for; 0 for an unconditional run."""
        return len(self.data.classes) if self.config.conditional else 0

    @property
    def is_first_process(self) -> bool:
        """Whether this process writes and prints."""
        return bool(self.fabric.is_global_zero)

    def saved_parts(self) -> dict[str, SavedPart]:
        """Return what a checkpoint holds tensors of, by the names in the file."""
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema.network,
            "optimizer_g": self.optimizer_g,
            "optimizer_d": self.optimizer_d,
            "matcher": self.matcher,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def saved_groups(self) -> dict[str, Tensor]:
        """Return the group of each picture by its name in a checkpoint; nothing without groups.

        A matcher, which is saved itself, has its own.
        """
        if self.conditions is None or self.matcher or not isinstance(self.ema.network, GroupedGenerator):
            return {}
        return {GROUPS_NAME: self.conditions}

    def checkpoint_record(self, log_entries: int, healthy: dict[str, Any]) -> CheckpointRecord:
        """Return what a checkpoint holds besides tensors."""
        return CheckpointRecord(
            **{field.name: getattr(self.progress, field.name) for field in fields(self.progress)},
            log_entries=log_entries,
            totals=self.sums.totals.tolist(),
            data_key=self.data.content_key,
            data_path=absolute_path(self.data_source),
            data_rules=self.data.rules,
            data_parts=self.part_count,
            frozen_network=None if self.matcher is None else FROZEN_NETWORK_SHA256,
            arithmetic=describe_arithmetic(self.fabric),
            settings=fixed_settings(self.config),
            healthy=healthy,
        )


def fixed_settings(config: Config) -> dict[str, Any]:
    """Return the settings that a run cannot change and still continue as if it had never stopped."""
    return {name: value for name, value in config_to_json(config).items() if name not in CHANGEABLE_SETTINGS}


def describe_arithmetic(fabric: Devices) -> str:
    """Return the kind and number of devices, what else decides how they round, and torch's version."""
    device = fabric.device
    threads, instructions = f"{torch.get_num_threads()} threads", torch.backends.cpu.get_cpu_capability()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads}, {instructions}"
    return f"{fabric.world_size} x {device.type} ({name}), torch {torch.__version__}"


def is_same_arithmetic(saved: str | None, current: str) -> bool:
    """Return whether a run that was saved with one description of the arithmetic continues to the bit with another.

    Version 0.1.0 did not write which vector instructions a CPU has: they are then taken to be the same.
    """
    return saved in (current, VECTOR_INSTRUCTIONS.sub(r"\1)", current))
