"""Opens the data, builds the networks and puts everything that is trained on the device."""

import math
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.config import FEW_PICTURES, Config
from dcgan.data.location import absolute_path, public_data_name, public_name
from dcgan.data.open import ImageSet, open_images
from dcgan.data.parts import WHOLE, Part
from dcgan.data.rules import CURRENT_RULES
from dcgan.devices.connect import (
    COMPILE_BACKEND,
    Devices,
    can_compile,
    connect_devices,
    first_process_first,
    synchronize_batchnorm,
)
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import to_float
from dcgan.models import build
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.groups import find_groups, mean_features
from dcgan.models.shipped import SHIPPED_NAMES
from dcgan.sampling import latents
from dcgan.training import networks, try_parts
from dcgan.training.ema import Ema
from dcgan.training.matching import Matcher
from dcgan.training.networks import NO_CUSTOM_PARTS, ChosenNetworks, CustomParts
from dcgan.training.optimizer import Adam
from dcgan.training.parts import combine_parts
from dcgan.training.progress import Progress
from dcgan.training.recording import StepRecorder
from dcgan.training.schedule import schedule_at
from dcgan.training.state import SUM_NAMES, State, StepSums


def set_up(
    config: Config,
    custom: CustomParts = NO_CUSTOM_PARTS,
    fabric: Devices | None = None,
    *,
    is_new: bool = True,
    data_source: str | None = None,
    data_rules: int = CURRENT_RULES,
) -> State:
    """Open the data, build the networks and put everything on the device. Nothing is written yet.

    Args:
        config: the settings.
        custom: the user's own parts.
        fabric: the devices of a process that was started as one of many; by default a single device.
        is_new: see `networks.choose_networks`.
        data_source: where the data are, if they are not where the settings say.
        data_rules: by which the data are read, see `dcgan.data.rules`.

    Raises:
        UserError: settings, data or parts that cannot be used together.
    """
    networks.check_names(config)
    fabric = fabric or connect_devices(config)
    data_source = data_source or config.data
    if not (custom.generator and custom.discriminator):
        build.check_networks(config)  # before any picture is prepared for them
    data, part_sizes = _open_training_pictures(config, fabric, data_source, data_rules)
    picture_count = sum(part_sizes) or len(data)
    chosen = networks.choose_networks(config, data, custom, picture_count, is_new=is_new)
    config = _resolved(config, data, chosen, picture_count)
    # Pictures stay on the device as bytes: a batch is one indexing operation, and all of MNIST takes 47 MB.
    if _fits_in_memory(data.pixels, fabric.device):
        data = replace(data, pixels=data.pixels.to(fabric.device))
    conditions = _share_conditions(chosen, data, fabric)
    matcher = None
    if not chosen.objective.has_discriminator:
        matcher, conditions = _make_matcher(config, chosen, data, conditions, fabric, is_new=is_new)
    ema = _average_of(chosen.generator)
    ema.network.to(fabric.device)
    if config.compile and can_compile(fabric.device):
        _compile(config, chosen)
    schedule = schedule_at(config, 0, None)
    generator, optimizer_g = _set_up_network(chosen.generator, schedule.lr, config, fabric)
    discriminator, optimizer_d = (
        (None, None)
        if chosen.discriminator is None
        else _set_up_network(chosen.discriminator, schedule.d_lr, config, fabric)
    )
    planned = planned_images(config, picture_count)
    state = State(
        config=config,
        fabric=fabric,
        data=data,
        data_source=absolute_path(data_source) or data_source,
        conditions=conditions,
        objective=chosen.objective,
        generator=generator,
        discriminator=discriminator,
        optimizer_g=optimizer_g,
        optimizer_d=optimizer_d,
        matcher=matcher,
        ema=ema,
        sums=StepSums(torch.zeros(len(SUM_NAMES) + 1, device=fabric.device), torch.zeros((), device=fabric.device)),
        progress=Progress(planned_images=planned, first_plan=planned),
        notice=chosen.notice,
        part_sizes=part_sizes,
        has_own_networks=bool(custom.generator or custom.discriminator),
    )
    if state.has_own_networks:
        _try_custom_networks(state, chosen)
    if custom == NO_CUSTOM_PARTS and _can_record(state):
        state.recorder = _make_recorder(state)
    return state


def _average_of(generator: nn.Module) -> Ema:
    """Return the average of a generator, which is a copy at first.

    Raises:
        UserError: it is the user's own and cannot be copied.
    """
    try:
        return Ema(generator)
    except RuntimeError as error:
        raise UserError(f"the generator cannot be copied for its average: {str(error).splitlines()[0]}") from None


def _can_record(state: State) -> bool:
    """Return whether the steps can be recorded: on one GPU that holds the pictures."""
    fabric = state.fabric
    is_one_gpu = fabric.device.type == "cuda" and fabric.world_size == 1
    is_compiled = state.config.compile
    return is_one_gpu and state.data.pixels.device.type == "cuda" and not is_compiled


def _make_recorder(state: State) -> StepRecorder:
    optimizers = [optimizer for optimizer in (state.optimizer_g, state.optimizer_d) if optimizer is not None]
    return StepRecorder(state.config.seed, state.fabric.device, optimizers, state.batch_indices)


def _share_conditions(chosen: ChosenNetworks, data: ImageSet, fabric: Devices) -> Tensor | None:
    """Return the class or group of each picture that this process holds, int64 (N,), on the device of the pictures.

    The first process has found the groups. Where each process holds other pictures, the others sort theirs into these.
    """
    if chosen.conditions is None:
        return None
    conditions = chosen.conditions
    if data.part == WHOLE:
        conditions = fabric.broadcast(conditions)
    elif isinstance(chosen.generator, GroupedGenerator):
        buffers = dict(chosen.generator.named_buffers(recurse=False))
        for name, values in fabric.broadcast(buffers).items():
            buffers[name].copy_(values)
        if fabric.global_rank:
            conditions = chosen.generator.assign_groups(data.pixels, data.labels)
    return conditions.to(data.pixels.device)


def _make_matcher(
    config: Config,
    chosen: ChosenNetworks,
    data: ImageSet,
    conditions: Tensor | None,
    fabric: Devices,
    *,
    is_new: bool,
) -> tuple[Matcher, Tensor | None]:
    """Return what the generator matches, and the class or group of each picture, if the generator is given one.

    A new generator's groups and appearances are fitted to the training pictures. Groups are found where samples are
    compared with pictures, in the frozen features. An initial model was trained with groups of its own, which stay:
    `choose_networks` says which pictures are in them.

    Raises:
        UserError: the frozen network is not installed.
    """
    matcher = Matcher(data.pixels)
    # Other devices may compute them with other rounding, and from equal ones all find the same groups and appearances.
    matcher.positions.copy_(fabric.broadcast(matcher.positions))
    if is_new:
        generator: Any = chosen.generator
        positions = matcher.positions.cpu()
        if isinstance(generator, GroupedGenerator) and config.init is None:
            labels = data.labels if generator.classes else None
            describe = positions.__getitem__
            conditions = find_groups(describe, len(positions), generator.groups, config.seed, labels, generator.classes)
            conditions = fabric.broadcast(conditions)
            generator.set_groups(conditions, mean_features(data.pixels, conditions, generator.groups))
        if conditions is not None:
            matcher.groups.copy_(conditions)
        generator.fit_appearance(positions, matcher.groups)
    is_conditional = conditions is not None or isinstance(chosen.generator, GroupedGenerator)
    return matcher, matcher.groups if is_conditional else None


def _open_training_pictures(
    config: Config, fabric: Devices, source: str, rules: int
) -> tuple[ImageSet, tuple[int, ...]]:
    """Return the training pictures that this process holds, and how many each holds where they are divided."""
    part_sizes: tuple[int, ...] = ()
    if config.split_data:
        data, part_sizes = open_part(config, fabric, source, rules)
    else:
        with first_process_first(fabric):
            data = open_data(config, source, rules)
    return replace(data, name=printable(config.data)), part_sizes


def open_data(config: Config, source: str, rules: int, split: str = "train", part: Part = WHOLE) -> ImageSet:
    """Open a split of the data of a run as its settings say, from where they are now."""
    return open_images(
        source,
        split,
        size=config.size,
        channels=config.channels,
        fit=config.fit,
        seed=config.seed,
        value_range=config.value_range,
        rules=rules,
        part=part,
    )


def open_part(config: Config, fabric: Devices, source: str, rules: int) -> tuple[ImageSet, tuple[int, ...]]:
    """Return the training pictures that this process holds, and how many each process holds.

    Raises:
        UserError: there is a single process, or the set cannot be divided.
    """
    if fabric.world_size == 1:
        raise UserError("--split-data divides the data among processes, and there is one: give --devices")
    part = (fabric.global_rank, fabric.world_size)
    return combine_parts(fabric, open_data(config, source, rules, part=part))


def _resolved(config: Config, data: ImageSet, chosen: ChosenNetworks, picture_count: int) -> Config:
    """Return the settings with those filled in that follow from the data and from the networks.

    Paths that name the user are shortened to names, because a run may be shown to others.
    """
    height, width = data.pixels.shape[-2:]
    return replace(
        config,
        preset=public_name(config.preset),
        data=public_data_name(config.data),
        init=None if config.init is None else _public_init(config.init),
        value_range=data.value_range,
        image_size=f"{height}x{width}",
        z_dim=getattr(chosen.generator, "z_dim", config.z_dim),
        groups=getattr(chosen.generator, "groups", config.groups),
        augment=resolve_augment(config.augment, picture_count),
    )


def _try_custom_networks(state: State, chosen: ChosenNetworks) -> None:
    """Send two latents through networks that are not the package's own before anything is written."""
    device, data = state.fabric.device, state.data
    z = latents.draw_latents(state.config.seed, 2, state.config.z_dim).to(device)
    reals = to_float(data.pixels[:2]).to(device)
    condition: tuple[Tensor, ...] = ()
    if state.conditions is not None:
        lowest, highest = state.conditions.aminmax()
        condition = (
            torch.stack([highest, lowest])[: len(reals)].to(device),
        )  # the highest shows if classes are lacking
    try_parts.try_networks(state.generator, state.discriminator, z, reals, condition)
    try_parts.check_gradients(chosen.generator, chosen.discriminator, z[: len(reals)], condition)


def resolve_augment(augment: str, picture_count: int) -> str:
    """Return the augmentation that `auto` stands for with so many pictures; any other is returned as it is."""
    if augment != "auto":
        return augment
    return "diffaugment" if picture_count < FEW_PICTURES else "none"


def _fits_in_memory(pixels: Tensor, device: torch.device) -> bool:
    """Return whether a set may be copied to a device: half of the free memory is left to the networks."""
    if device.type == "cuda":
        return pixels.nbytes < torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return pixels.nbytes < torch.mps.recommended_max_memory() / 2
    return True


def _compile(config: Config, chosen: ChosenNetworks) -> None:
    """Compile the networks in place, so that weights keep their names. The averaged generator is not compiled."""
    chosen.generator.compile(backend=COMPILE_BACKEND)
    if chosen.discriminator is not None and not (config.gp or config.r1 or config.r2):
        chosen.discriminator.compile(backend=COMPILE_BACKEND)


def _set_up_network(network: nn.Module, lr: float, config: Config, fabric: Devices) -> tuple[nn.Module, Optimizer]:
    """Put a network on the device and give it an optimizer."""
    if not network.training:  # the user's own, which drew pictures before; a frozen part of one stays as it is
        network.train()
    # channels_last and the fused Adam together: 96 -> 81 ms a step (batch 128, 2 cores; docs/experiments.md)
    network = synchronize_batchnorm(network.to(memory_format=torch.channels_last), fabric)
    is_fused = fabric.device.type in ("cpu", "cuda")
    # A recorded step reads the learning rate from where it was recorded: see `recording`.
    rate = torch.tensor(lr, device=fabric.device) if fabric.device.type == "cuda" else lr
    optimizer = Adam(network.parameters(), lr=rate, betas=config.betas, fused=is_fused)
    return cast(tuple[nn.Module, Optimizer], fabric.setup(network, optimizer))


def _public_init(init: str) -> str:
    """Return a model's place as it may be shown to others; a path never becomes the name of a model of the package."""
    name = public_name(init)
    return f"./{name}" if name != init and name in SHIPPED_NAMES else name


def planned_images(config: Config, picture_count: int) -> int | None:
    """Return the images after which training ends; None for a duration in minutes, which is not yet measured."""
    if config.steps is not None:
        batches = math.ceil(picture_count / config.batch_size)
        epochs, rest = divmod(config.steps * config.n_critic, batches)
        return epochs * picture_count + rest * config.batch_size
    if config.epochs is not None:
        return math.ceil(config.epochs * picture_count)
    return config.images
