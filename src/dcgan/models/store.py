"""Saving a generator of any family to a folder, and loading it again."""

from pathlib import Path
from typing import Any

from safetensors.torch import save_model
from torch import nn

from dcgan.errors import UserError
from dcgan.files import atomic_folder, read_json, to_json_text
from dcgan.models.families import FAMILIES
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.system.tensor_files import refuse_unwritable

CUSTOM_FAMILY = "own"
"""The family in the config.json of a user's own class."""


def load_generator(folder: Path) -> SavedGenerator:
    """Load a saved generator, in evaluation mode.

    Raises:
        UserError: the folder has none, or its files are damaged, foreign or from a newer version.
    """
    config = read_json(folder / "config.json")
    family = config.get("family")
    if family == CUSTOM_FAMILY:
        raise UserError(
            f"{folder} holds the weights of your own class {config.get('class')}: create one and load them with "
            "safetensors.torch.load_model(generator, 'model.safetensors')"
        )
    generator_class = find_generator_class(family)
    if generator_class is None:
        raise UserError(f"{folder / 'config.json'} describes no generator that this version knows: family {family!r}")
    generator = generator_class.from_pretrained(folder)
    trained = config.get("trained")
    generator.trained = trained if isinstance(trained, dict) else None
    return generator


def save_generator(generator: nn.Module, folder: Path, trained: dict[str, Any] | None = None) -> None:
    """Save a generator; a folder that exists is replaced once everything is on the disk.

    Of a user's own class, only the weights and the name of the class can be saved, not how to build it.

    Args:
        generator: of one of our classes or of the user's own.
        folder: where to save it.
        trained: how it was trained, see `SavedGenerator.trained`.

    Raises:
        UserError: the disk is full, for example.
    """
    with refuse_unwritable(folder), atomic_folder(folder) as temporary:
        write_generator(generator, temporary, trained)


def find_generator_class(family: object) -> type[SavedGenerator] | None:
    """Return the class of the generators whose config.json names this family, or None if there is none."""
    if family == GroupedGenerator.family:
        return GroupedGenerator
    return FAMILIES[family].load().Generator if isinstance(family, str) and family in FAMILIES else None


def write_generator(generator: nn.Module, folder: Path, trained: dict[str, Any] | None) -> None:
    """Write the files of a saved generator into a folder that exists: see `save_generator`.

    Raises:
        OSError, SafetensorError: the disk is full, for example; see `refuse_unwritable`.
    """
    if isinstance(generator, SavedGenerator) and find_generator_class(generator.family) is type(generator):
        generator.trained = trained or generator.trained
        generator.save_pretrained(folder)
        return
    save_model(generator, str(folder / "model.safetensors"))
    class_name = f"{type(generator).__module__}.{type(generator).__qualname__}"
    content = {"family": CUSTOM_FAMILY, "class": class_name, "trained": trained}
    (folder / "config.json").write_text(to_json_text(content), encoding="utf-8")
