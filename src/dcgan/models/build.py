"""The generator and the discriminator of a run, built from its settings."""

import threading
from dataclasses import replace

import torch
from torch import nn

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.models.blocks import SkipInitialization
from dcgan.models.families import ImageShape, find_family
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.system.resources import total_memory

BYTES_PER_PARAMETER = 36
"""Memory that a parameter needs in training: four bytes each for the weight, its gradient, Adam's two moments and the
average of the weight, and for the copies of these (without the gradient) to which a run can return."""
RANDOM_STATE_LOCK = threading.Lock()
"""Held while weights are drawn: torch has one random state for all threads, and two may build networks at once."""
ANY_SHAPE = (1, 28, 28)
"""Channels, height and width for a memory check when the data decides on them later."""


def build_networks(
    config: Config, shape: ImageShape, classes: int = 0, groups: int = 0
) -> tuple[SavedGenerator, nn.Module]:
    """Build the generator and the discriminator, with initial weights that follow from the seed.

    Args:
        config: the network, widths, normalizations, z_dim and seed are used.
        shape: (C, H, W) of the pictures.
        classes: number of classes that the networks are given, 0 for unconditional networks.
        groups: number of groups that the networks are given in place of the classes, the same number for each class.

    Raises:
        UserError: there is no such network, it cannot have that size or that normalization, or it needs more memory
            than this machine has.
    """
    check_networks(config, shape, classes, groups)
    family = find_family(config.network).load()
    with RANDOM_STATE_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, RandomPurpose.WEIGHTS))
        generator, discriminator = _build(config, shape, classes, groups)
        generator.apply(family.init)
        discriminator.apply(family.init)
    return generator, discriminator


def check_networks(config: Config, shape: ImageShape | None = None, classes: int = 0, groups: int = 0) -> None:
    """Check that the networks can be built and that this machine can hold them, before any data is prepared for them.

    Args:
        config: as in `build_networks`.
        shape: as in `build_networks`. Without it, the size in the settings is used, or `ANY_SHAPE`.
        classes: as in `build_networks`.
        groups: as in `build_networks`.

    Raises:
        UserError: as in `build_networks`.
    """
    channels, *size = ANY_SHAPE
    height, width = config.size or size
    with torch.device("meta"), SkipInitialization():  # on this device, tensors have a shape but no memory
        networks = _build(config, shape or (config.channels or channels, height, width), classes, groups)
    needed = BYTES_PER_PARAMETER * sum(p.numel() for network in networks for p in network.parameters())
    available = total_memory()
    if needed > available:
        raise UserError(
            f"these networks need {needed / 1e9:,.0f} GB to train, this machine or container has "
            f"{available / 1e9:,.0f} GB: lower --g-width, --d-width or --z-dim"
        )


def _build(config: Config, shape: ImageShape, classes: int, groups: int) -> tuple[SavedGenerator, nn.Module]:
    family = find_family(config.network).load()
    if not groups:
        return family.build(config, shape, classes)
    # The first numbers of z choose the group, and the rest is the latent of the generator inside.
    inner_config = replace(config, z_dim=config.z_dim - groups, groups=0)
    generator, discriminator = family.build(inner_config, shape, groups)
    return GroupedGenerator(generator.description, classes), discriminator
