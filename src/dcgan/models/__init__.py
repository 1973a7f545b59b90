"""The families of networks: how each is built from the settings, and how a saved generator is read back."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from dcgan.config import FORMAT_VERSION, Config, UserError, read_json
from dcgan.files import whole_folder
from dcgan.latents import derive
from dcgan.models import dcgan, dcgan64, mlp, resnet
from dcgan.models.blocks import init_weights, layer_sizes
from dcgan.models.saved import SavedGenerator

OWN = "own"
"""The family of a class that is the user's own."""
Shape = tuple[int, int, int]
"""(C, H, W) of a picture."""
Pair = tuple[SavedGenerator, nn.Module]


@dataclass(frozen=True)
class Family:
    """One kind of network pair.

    Attributes:
        generator: the class, for reading saved ones.
        build: (settings, shape of a picture, classes or 0) -> generator and discriminator, weights as drawn by torch.
        init: what the weights start from, applied to every module.
    """

    generator: type[SavedGenerator]
    build: Callable[[Config, Shape, int], Pair]
    init: Callable[[nn.Module], None]


def _build_mlp(config: Config, shape: Shape, classes: int) -> Pair:
    generator = mlp.FlatGenerator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, mlp.FlatDiscriminator(shape, config.d_width, config.d_norm, classes)


def _build_dcgan(config: Config, shape: Shape, classes: int) -> Pair:
    channels, height, width = shape
    generator = dcgan.Generator(config.z_dim, channels, config.g_width, config.g_norm, classes)
    sizes = layer_sizes(generator, 1)
    if (height, width) != (sizes[-1], sizes[-1]):
        raise UserError(
            f"the network dcgan draws {sizes[-1]}x{sizes[-1]} only (its layers go {'-'.join(map(str, sizes))}), "
            f"not --image-size {height if height == width else f'{height}x{width}'}"
        )
    return generator, dcgan.Discriminator(channels, config.d_width, config.d_norm, classes)


def _build_dcgan64(config: Config, shape: Shape, classes: int) -> Pair:
    generator = dcgan64.PaperGenerator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, dcgan64.PaperDiscriminator(shape, config.d_width, config.d_norm, classes)


def _build_resnet(config: Config, shape: Shape, classes: int) -> Pair:
    resnet.check_norm("g-norm", config.g_norm)
    resnet.check_norm("d-norm", config.d_norm)
    generator = resnet.ResidualGenerator(config.z_dim, shape, config.g_width, classes)
    return generator, resnet.ResidualDiscriminator(shape, config.d_width, classes)


FAMILIES: dict[str, Family] = {
    "mlp": Family(mlp.FlatGenerator, _build_mlp, mlp.init),
    "dcgan": Family(dcgan.Generator, _build_dcgan, init_weights),
    "dcgan64": Family(dcgan64.PaperGenerator, _build_dcgan64, dcgan64.init),
    "resnet": Family(resnet.ResidualGenerator, _build_resnet, resnet.init),
}


def build(config: Config, shape: Shape, classes: int = 0) -> Pair:
    """Build the generator and the discriminator, their weights drawn from the seed.

    Args:
        config: network, widths, normalisations, z_dim and seed are used.
        shape: (C, H, W) of the pictures.
        classes: how many the networks are told about, 0 for unconditional ones.

    Raises:
        UserError: the network cannot have that size or that normalisation.
    """
    check(config, shape, classes)
    family = FAMILIES[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, 0))
        generator, discriminator = family.build(config, shape, classes)
        generator.apply(family.init)
        discriminator.apply(family.init)
    return generator, discriminator


def check(config: Config, shape: Shape | None = None, classes: int = 0) -> None:
    """Refuse networks that cannot be, or that this machine cannot hold, before anything is prepared for them.

    Raises:
        UserError: as `build`.
    """
    unseen = (config.channels or 1, *(config.size or (28, 28)))  # whose size the data decides: any will do here
    with torch.device("meta"):  # shapes only, no memory
        networks = FAMILIES[config.network].build(config, shape or unseen, classes)
    # Four bytes for each weight, its gradient, Adam's two moments and the average of it, and for the copy of all but
    # the gradient that a run goes back to.
    needed = 36 * sum(p.numel() for network in networks for p in network.parameters())
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
    if family == OWN:
        raise UserError(
            f"{folder} holds the weights of your own class {config.get('class')}: make one and fill it with "
            "safetensors.torch.load_model(generator, 'model.safetensors')"
        )
    if not isinstance(family, str) or family not in FAMILIES:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    network = FAMILIES[family].generator.from_pretrained(folder)
    trained = config.get("trained")
    network.trained = trained if isinstance(trained, dict) else None
    return network


def save_generator(network: nn.Module, folder: Path, trained: dict[str, Any] | None = None) -> None:
    """Save a generator and where it comes from; `folder` is replaced when all of it is on the disk.

    Of a user's own class only the weights and the class's name can be saved, not how to build it.
    """
    with whole_folder(folder) as aside:
        try:
            _save(network, aside, trained)
        except SafetensorError as error:  # a full disk, say
            raise UserError(f"cannot write {folder}: {error}") from None


def _save(network: nn.Module, folder: Path, trained: dict[str, Any] | None) -> None:
    if isinstance(network, SavedGenerator) and type(network) in {f.generator for f in FAMILIES.values()}:
        network.trained = trained or network.trained
        network.save_pretrained(folder)
        return
    save_model(network, str(folder / "model.safetensors"))
    name = f"{type(network).__module__}.{type(network).__qualname__}"
    content = {"format_version": FORMAT_VERSION, "family": OWN, "class": name, "trained": trained}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
