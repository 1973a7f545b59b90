"""The families of networks: how each is built from the settings, and how a saved generator is read back."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from dcgan.config import Config, UserError, read_json
from dcgan.files import whole_folder
from dcgan.latents import derive
from dcgan.models import dcgan
from dcgan.models.blocks import init_weights, layer_sizes
from dcgan.models.saved import SavedGenerator


@dataclass(frozen=True)
class Family:
    """One kind of network pair.

    Attributes:
        generator: the class, for reading saved ones.
        build: (settings, channels of the data) -> generator and discriminator, with weights as drawn by torch.
        init: what the weights start from, applied to every layer.
    """

    generator: type[SavedGenerator]
    build: Callable[[Config, int], tuple[SavedGenerator, nn.Module]]
    init: Callable[[nn.Module], None]


def _build_dcgan(config: Config, channels: int) -> tuple[SavedGenerator, nn.Module]:
    generator = dcgan.Generator(config.z_dim, channels, config.g_width)
    sizes = layer_sizes(generator, 1)
    if config.size != (sizes[-1], sizes[-1]):
        raise UserError(
            f"the network dcgan draws {sizes[-1]}x{sizes[-1]} only (its layers go {'-'.join(map(str, sizes))}), "
            f"not --image-size {config.image_size}"
        )
    return generator, dcgan.Discriminator(channels, config.d_width)


FAMILIES: dict[str, Family] = {
    "dcgan": Family(dcgan.Generator, _build_dcgan, init_weights),
}


def build(config: Config, channels: int) -> tuple[SavedGenerator, nn.Module]:
    """Build the generator and the discriminator, their weights drawn from the seed.

    Args:
        config: network, widths, z_dim, image_size and seed are used.
        channels: of the pictures, 1 for gray.

    Raises:
        UserError: the network cannot have that size.
    """
    check(config, channels)
    family = FAMILIES[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, 0))
        generator, discriminator = family.build(config, channels)
        generator.apply(family.init)
        discriminator.apply(family.init)
    return generator, discriminator


def check(config: Config, channels: int = 1) -> None:
    """Refuse networks that cannot be, or that this machine cannot hold, before anything is prepared for them.

    Raises:
        UserError: as `build`.
    """
    with torch.device("meta"):  # shapes only, no memory
        networks = FAMILIES[config.network].build(config, config.channels or channels)
    # Four bytes for each weight, its gradient, Adam's two moments and the average of it.
    needed = 20 * sum(p.numel() for network in networks for p in network.parameters())
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else needed
    if needed > there:
        raise UserError(
            f"these networks need {needed / 1e9:,.0f} GB to train, this machine has {there / 1e9:,.0f} GB: "
            "lower --g-width, --d-width or --z-dim"
        )


def load_generator(folder: Path) -> SavedGenerator:
    """Read a saved generator back, in evaluation mode.

    Raises:
        UserError: the folder holds none, or its files are damaged, foreign or from a newer version.
    """
    config = read_json(folder / "config.json")
    family = config.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    network = FAMILIES[family].generator.from_pretrained(folder)
    network.trained = config.get("trained")
    return network


def save_generator(network: SavedGenerator, folder: Path) -> None:
    """Save a generator; `folder` is replaced when all of it is on the disk."""
    with whole_folder(folder) as aside:
        try:
            network.save_pretrained(aside)
        except SafetensorError as error:  # a full disk, say
            raise UserError(f"cannot write {folder}: {error}") from None
