"""The families of networks: how each is built from the settings, and how a saved generator is read back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dcgan.config import Config, UserError, read_json
from dcgan.files import whole_folder
from dcgan.latents import derive
from dcgan.models import dcgan
from dcgan.models.blocks import init_weights
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
    if config.size != (dcgan.SIZE, dcgan.SIZE):
        raise UserError(
            f"the network dcgan draws {dcgan.SIZE}x{dcgan.SIZE} only (its layers go 1-3-6-13-28), not --image-size "
            f"{config.image_size}"
        )
    generator = dcgan.Generator(config.z_dim, channels, config.g_width)
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
    family = FAMILIES[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, 0))
        generator, discriminator = family.build(config, channels)
        generator.apply(family.init)
        discriminator.apply(family.init)
    return generator, discriminator


def check(config: Config) -> None:
    """Refuse a size that the network cannot have, before any picture is prepared for it.

    Raises:
        UserError: as `build`.
    """
    with torch.device("meta"):
        FAMILIES[config.network].build(config, config.channels or 1)


def load_generator(folder: Path) -> SavedGenerator:
    """Read a saved generator back, in evaluation mode.

    Raises:
        UserError: the folder holds none, or its files are damaged, foreign or from a newer version.
    """
    config = read_json(folder / "config.json")
    family = config.get("family")
    if family not in FAMILIES:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    network = FAMILIES[family].generator.from_pretrained(folder)
    network.trained = config.get("trained")
    return network


def save_generator(network: SavedGenerator, folder: Path) -> None:
    """Save a generator; `folder` is replaced when all of it is on the disk."""
    with whole_folder(folder) as aside:
        network.save_pretrained(aside)
