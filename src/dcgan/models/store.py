"""Saving a generator to a folder and loading it again, whatever its family."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, atomic_folder, read_json
from dcgan.models.families import FAMILIES
from dcgan.models.groups import GroupedGenerator
from dcgan.models.saved import SavedGenerator

CUSTOM_FAMILY = "own"
"""The family of a class that is the user's own."""


GENERATOR_CLASSES: dict[str, type[SavedGenerator]] = {name: family.generator for name, family in FAMILIES.items()} | {
    GroupedGenerator.family: GroupedGenerator
}
"""What a saved generator may be, by the family that its config.json names."""


def load_generator(folder: Path) -> SavedGenerator:
    """Read a saved generator back, in evaluation mode.

    Raises:
        UserError: the folder holds none, or its files are damaged, foreign or from a newer version.
    """
    config = read_json(folder / "config.json")
    family = config.get("family")
    if family == CUSTOM_FAMILY:
        raise UserError(
            f"{folder} holds the weights of your own class {config.get('class')}: make one and fill it with "
            "safetensors.torch.load_model(generator, 'model.safetensors')"
        )
    if not isinstance(family, str) or family not in GENERATOR_CLASSES:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    network = GENERATOR_CLASSES[family].from_pretrained(folder)
    trained = config.get("trained")
    network.trained = trained if isinstance(trained, dict) else None
    return network


def save_generator(network: nn.Module, folder: Path, trained: dict[str, Any] | None = None) -> None:
    """Save a generator and where it comes from; `folder` is replaced when all of it is on the disk.

    Of a user's own class only the weights and the class's name can be saved, not how to build it.
    """
    with atomic_folder(folder) as aside:
        try:
            _write_generator(network, aside, trained)
        except SafetensorError as error:  # a full disk, say
            raise UserError(f"cannot write {folder}: {error}") from None


def _write_generator(network: nn.Module, folder: Path, trained: dict[str, Any] | None) -> None:
    if isinstance(network, SavedGenerator) and type(network) in GENERATOR_CLASSES.values():
        network.trained = trained or network.trained
        network.save_pretrained(folder)
        return
    save_model(network, str(folder / "model.safetensors"))
    name = f"{type(network).__module__}.{type(network).__qualname__}"
    content = {"format_version": FORMAT_VERSION, "family": CUSTOM_FAMILY, "class": name, "trained": trained}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
