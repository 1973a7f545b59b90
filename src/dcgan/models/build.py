"""The networks: built from the settings, with the weights that they start from; generators saved and read back."""

import os
from dataclasses import replace

import torch

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.models.blocks import SkipInitialization
from dcgan.models.families import FAMILIES, Pair, Shape
from dcgan.models.groups import GroupedGenerator
from dcgan.rng import derive_seed


def build_networks(config: Config, shape: Shape, classes: int = 0, groups: int = 0) -> Pair:
    """Build the generator and the discriminator, their weights drawn from the seed.

    Args:
        config: network, widths, normalisations, z_dim and seed are used.
        shape: (C, H, W) of the pictures.
        classes: how many the networks are told about, 0 for unconditional ones.
        groups: how many groups of look-alikes they are told instead, of each class as many.

    Raises:
        UserError: the network cannot have that size or that normalisation.
    """
    check_networks(config, shape, classes, groups)
    family = FAMILIES[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, 0))
        generator, discriminator = _pair(config, shape, classes, groups)
        generator.apply(family.init)
        discriminator.apply(family.init)
    return generator, discriminator


def _pair(config: Config, shape: Shape, classes: int, groups: int) -> Pair:
    if not groups:
        return FAMILIES[config.network].build(config, shape, classes)
    inner = replace(config, z_dim=config.z_dim - groups, groups=0)
    generator, discriminator = FAMILIES[config.network].build(inner, shape, groups)
    return GroupedGenerator(generator.described, classes), discriminator


def check_networks(config: Config, shape: Shape | None = None, classes: int = 0, groups: int = 0) -> None:
    """Refuse networks that cannot be, or that this machine cannot hold, before anything is prepared for them.

    Raises:
        UserError: as `build`.
    """
    unseen = (config.channels or 1, *(config.size or (28, 28)))  # whose size the data decides: any will do here
    with torch.device("meta"), SkipInitialization():  # shapes only, no memory
        networks = _pair(config, shape or unseen, classes, groups)
    # Four bytes for each weight, its gradient, Adam's two moments and the average of it, and for the copy of all but
    # the gradient that a run goes back to.
    needed = 36 * sum(p.numel() for network in networks for p in network.parameters())
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else needed
    if needed > there:
        raise UserError(
            f"these networks need {needed / 1e9:,.0f} GB to train, this machine has {there / 1e9:,.0f} GB: "
            "lower --g-width, --d-width or --z-dim"
        )
