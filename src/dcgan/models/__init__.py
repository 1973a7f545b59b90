"""The networks: built from the settings, with the weights that they start from; generators saved and read back."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from dcgan.config import FORMAT_VERSION, Config, UserError, read_json
from dcgan.files import whole_folder
from dcgan.latents import derive
from dcgan.models.blocks import Unfilled
from dcgan.models.families import FAMILIES, Pair, Shape
from dcgan.models.groups import GroupedGenerator
from dcgan.models.saved import SavedGenerator

OWN = "own"
"""The family of a class that is the user's own."""
SAVED: dict[str, type[SavedGenerator]] = {name: family.generator for name, family in FAMILIES.items()} | {
    GroupedGenerator.family: GroupedGenerator
}
"""What a saved generator may be, by the family that its config.json names."""


def build(config: Config, shape: Shape, classes: int = 0, groups: int = 0) -> Pair:
    """Build the generator and the discriminator, their weights drawn from the seed.

    Args:
        config: network, widths, normalisations, z_dim and seed are used.
        shape: (C, H, W) of the pictures.
        classes: how many the networks are told about, 0 for unconditional ones.
        groups: how many groups of look-alikes they are told instead, of each class as many.

    Raises:
        UserError: the network cannot have that size or that normalisation.
    """
    check(config, shape, classes, groups)
    family = FAMILIES[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, 0))
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


def check(config: Config, shape: Shape | None = None, classes: int = 0, groups: int = 0) -> None:
    """Refuse networks that cannot be, or that this machine cannot hold, before anything is prepared for them.

    Raises:
        UserError: as `build`.
    """
    unseen = (config.channels or 1, *(config.size or (28, 28)))  # whose size the data decides: any will do here
    with torch.device("meta"), Unfilled():  # shapes only, no memory
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
    if not isinstance(family, str) or family not in SAVED:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    network = SAVED[family].from_pretrained(folder)
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
    if isinstance(network, SavedGenerator) and type(network) in SAVED.values():
        network.trained = trained or network.trained
        network.save_pretrained(folder)
        return
    save_model(network, str(folder / "model.safetensors"))
    name = f"{type(network).__module__}.{type(network).__qualname__}"
    content = {"format_version": FORMAT_VERSION, "family": OWN, "class": name, "trained": trained}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
