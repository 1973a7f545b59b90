"""Everything that changes while training, and how it is set up: data, networks and optimizers on the device."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.config import DURATIONS, FEW_PICTURES, Config, config_to_json
from dcgan.data.open import ImageSet, open_images
from dcgan.devices.connect import (
    COMPILE_BACKEND,
    Devices,
    can_compile,
    connect_devices,
    first_process_first,
    synchronize_batchnorm,
)
from dcgan.images import to_float
from dcgan.models import build
from dcgan.run.log import LogEntry
from dcgan.sampling import latents
from dcgan.training import networks, schedule
from dcgan.training.diversity import RealPictures
from dcgan.training.ema import Ema
from dcgan.training.losses import Objective
from dcgan.training.networks import NO_CUSTOM_PARTS, CustomParts
from dcgan.training.optimizer import Adam

SUMS = ("loss_d", "loss_g", "d_real", "d_fake", "d_right", "grad_d", "grad_g")
"""What is summed up from log line to log line; the count of discriminator updates comes last."""
COUNTERS: dict[str, Any] = {
    "step": 0,
    "images_seen": 0,
    "seconds": 0.0,
    "planned": 0,
    "first_plan": 0,
    "lr_scale": 1.0,
    "recoveries": 0,
    "in_a_row": 0,
    "best": 0,
    "best_step": 0,
    "stale": 0,
    "entries": 0,
    "totals": [0.0] * (len(SUMS) + 1),
    "data": "",
    "where": "",
    "settings": {},
    "healthy": {},
}
"""What a saved state holds besides tensors: an example of each."""
MEASURED = ("best", "best_step", "stale")
"""Those that `validate` changes."""
WHERE = ("device", "devices", "num_nodes")
FREE = {"preset", "data", "init", "log_every", "save_every", "evaluate_every", "patience", *WHERE, *DURATIONS}
"""Settings that may change from one part of a run to the next. The pictures may move: their content key is compared."""


@dataclass
class HealthyCopy:
    """A copy of the state on the beat of `save_every`, to go back to when the numbers are not finite any more."""

    tensors: dict[str, Tensor]
    counters: dict[str, Any]


@dataclass
class State:
    """Everything that changes while training, and what it is trained on."""

    config: Config
    fabric: Devices
    data: ImageSet
    told: Tensor | None
    """The class or the group of each picture, int64 (N,), if the networks are told one."""
    objective: Objective
    generator: nn.Module
    discriminator: nn.Module
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    ema: Ema
    own: CustomParts
    totals: Tensor
    """Sums since the last log line: those of `SUMS`, and of how many updates. On the device, so that no step waits."""
    fault: Tensor
    """0, or which number of a step was the first that was not finite: see `recovery`. On the device too."""
    planned: int | None
    """Images after which training ends; None until a length in minutes has been measured."""
    first_plan: int | None
    """The first of these: the learning rates fall over it, and stay there if the run is extended."""
    step: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    """Time spent on updates: logging, drawing, saving and measuring left out."""
    best: float | None = None
    """The least distance that was measured, if any was."""
    best_step: int | None = None
    """When that was."""
    stale: int = 0
    """Measurements since."""
    lr_scale: float = 1.0
    """What every learning rate is multiplied by: less than 1 after a recovery."""
    recoveries: int = 0
    in_a_row: int = 0
    """Recoveries since the last whole interval of `save_every` steps without one."""
    entries: list[LogEntry] = field(default_factory=list)
    """The log so far, but for a last line off the beat of `log_every`."""
    healthy: HealthyCopy | None = None
    compared: RealPictures | None = None
    """What generated pictures are held against; made when it is first needed."""

    @property
    def classes(self) -> int:
        """How many classes can be asked for; 0 if none."""
        return len(self.data.classes) if self.config.conditional else 0

    def parts(self) -> dict[str, nn.Module | Optimizer]:
        """What a saved state holds tensors of."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema.network,
            "optimizer_g": self.optimizer_g,
            "optimizer_d": self.optimizer_d,
        }

    def counters(self) -> dict[str, Any]:
        """What a saved state holds besides."""
        names = (
            "step",
            "images_seen",
            "seconds",
            "planned",
            "first_plan",
            "lr_scale",
            "recoveries",
            "in_a_row",
            *MEASURED,
        )
        return {name: getattr(self, name) for name in names} | {
            "entries": len(self.entries),
            "totals": self.totals.tolist(),
            "data": self.data.key,
            "where": describe_arithmetic(self.fabric),
            "settings": fixed_settings(self.config),
        }


def set_up(
    config: Config, own: CustomParts = NO_CUSTOM_PARTS, fabric: Devices | None = None, *, is_new: bool = True
) -> State:
    """Open the data, build the networks and put everything on the device. Nothing is written yet.

    Args:
        config: the settings.
        own: the user's own parts.
        fabric: of a process that was started as one of many; by default one for a single device.
        is_new: see `parts.choose`.
    """
    fabric = fabric or connect_devices(config)
    if not (own.generator and own.discriminator):
        build.check_networks(config)  # before any picture is prepared for them
    with first_process_first(fabric):
        data = open_images(config.data, size=config.size, channels=config.channels, fit=config.fit, seed=config.seed)
    chosen = networks.choose_parts(config, data, own, is_new=is_new)
    height, width = data.pixels.shape[-2:]
    config = replace(
        config,
        image_size=f"{height}x{width}",
        z_dim=getattr(chosen.generator, "z_dim", config.z_dim),
        groups=getattr(chosen.generator, "groups", config.groups),
        augment=resolve_augment(config.augment, len(data)),
    )
    # Pictures stay where they are used, as bytes: a batch is an index away, and a whole epoch of MNIST is 47 MB.
    if _fits(data.pixels, fabric.device):
        data = replace(data, pixels=data.pixels.to(fabric.device))
    told = None if chosen.told is None else fabric.broadcast(chosen.told).to(data.pixels.device)
    ema = Ema(chosen.generator)
    ema.network.to(fabric.device)
    now = schedule.schedule_at(config, 0, None)
    if config.compile and can_compile(fabric.device):
        _compile(config, chosen)
    g, optimizer_g = _placed(chosen.generator, now.lr, config, fabric)
    d, optimizer_d = _placed(chosen.discriminator, now.d_lr, config, fabric)
    totals, fault = torch.zeros(len(SUMS) + 1, device=fabric.device), torch.zeros((), device=fabric.device)
    planned = planned_images(config, len(data))
    state = State(
        config, fabric, data, told, chosen.objective, g, d, optimizer_g, optimizer_d, ema, own, totals, fault,
        planned, planned,
    )  # fmt: skip
    if own.generator or own.discriminator:
        _try_out(state)
    return state


def _try_out(state: State) -> None:
    """Send two pictures and two latents through networks that are not ours before anything is written."""
    device, data = state.fabric.device, state.data
    z = latents.draw_latents(state.config.seed, 2, state.config.z_dim).to(device)
    given = () if state.told is None else (state.told[:2].to(device),)
    networks.try_out(state.generator, state.discriminator, z, to_float(data.pixels[:2]).to(device), given)


def resolve_augment(wanted: str, n: int) -> str:
    """What `auto` stands for where there are `n` pictures."""
    if wanted != "auto":
        return wanted
    return "diffaugment" if n < FEW_PICTURES else "none"


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether a set may take its place in a device's memory: half of what is free is left to the networks."""
    if device.type == "cuda":
        return pixels.nbytes < torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return pixels.nbytes < torch.mps.recommended_max_memory() / 2
    return True


def _compile(config: Config, chosen: networks.ChosenParts) -> None:
    """Compile the networks in place, so that weights keep their names. The average of G only draws: it is not."""
    chosen.generator.compile(backend=COMPILE_BACKEND)
    if not (config.gp or config.r1 or config.r2):
        chosen.discriminator.compile(backend=COMPILE_BACKEND)


def _placed(network: nn.Module, lr: float, config: Config, fabric: Devices) -> tuple[nn.Module, Optimizer]:
    """Put a network on the device, with its optimizer."""
    # channels_last and the fused Adam together: 96 -> 81 ms a step (batch 128, 2 cores; docs/experiments.md)
    network = synchronize_batchnorm(network.to(memory_format=torch.channels_last), fabric)
    fused = fabric.device.type in ("cpu", "cuda")
    placed = fabric.setup(network, Adam(network.parameters(), lr=lr, betas=config.betas, fused=fused))
    return cast(tuple[nn.Module, Optimizer], placed)


def fixed_settings(config: Config) -> dict[str, Any]:
    """The settings that a run cannot change and still go on as if it had never stopped."""
    return {name: value for name, value in config_to_json(config).items() if name not in FREE}


def describe_arithmetic(fabric: Devices) -> str:
    """What arithmetic is done with. Where it is the same, so is every bit."""
    device = fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{fabric.world_size} x {device.type} ({name}), torch {torch.__version__}"


def planned_images(config: Config, n: int) -> int | None:
    """Images after which training ends, for `n` pictures in the set; None for a length in minutes, not yet measured."""
    if config.steps is not None:
        epochs, rest = divmod(config.steps * config.n_critic, math.ceil(n / config.batch_size))
        return epochs * n + rest * config.batch_size
    if config.epochs is not None:
        return math.ceil(config.epochs * n)
    return config.images


def measured_plan(state: State) -> int | None:
    """A length in minutes, as images: fixed once, from the speed over the first seconds. None while they last."""
    budget = 60 * (state.config.minutes or 0)
    if state.seconds < min(5.0, budget / 10):
        return None
    return round(state.images_seen * budget / state.seconds)
