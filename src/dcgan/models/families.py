"""The network families, one module each. The table can be read without torch, so that `--help` is quick."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from dcgan.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from dcgan.config import Config
    from dcgan.models.saved import SavedGenerator

ImageShape = tuple[int, int, int]
"""(C, H, W) of a picture."""


class FamilyModule(Protocol):
    """What the module of a family defines."""

    @property
    def Generator(self) -> "type[SavedGenerator]":  # noqa: N802
        """Class of the generator. Its `family` is the name in `FAMILIES`."""

    def build(self, config: "Config", shape: ImageShape, classes: int) -> "tuple[SavedGenerator, nn.Module]":
        """Return a generator and a discriminator, for 0 classes unconditional ones. Their weights need no values.

        Raises:
            UserError: the family cannot draw pictures of this shape, or has no such normalization.
        """

    def init(self, layer: "nn.Module") -> None:
        """Set the initial weights of a layer. It is applied to every module of both networks."""


@dataclass(frozen=True)
class Family:
    """A kind of network pair.

    Attributes:
        description: what it is, in a few words for the command line.
        module: full name of the module that defines it. It is imported when the networks are needed.
    """

    description: str
    module: str

    def load(self) -> FamilyModule:
        """Import the module of the family."""
        return cast(FamilyModule, import_module(self.module))


FAMILIES: dict[str, Family] = {
    "mlp": Family("fully connected layers, any size", "dcgan.models.mlp"),
    "dcgan": Family("the study's convolutions, 28x28 only", "dcgan.models.dcgan"),
    "dcgan64": Family("the convolutions of Radford et al., any size", "dcgan.models.dcgan64"),
    "upsample": Family("repeated pixels, convolutions and styles, any size", "dcgan.models.upsample"),
    "resnet": Family("residual blocks without normalization, any size", "dcgan.models.resnet"),
}


def find_family(name: str) -> Family:
    """Return the family of a name.

    Raises:
        UserError: there is no such family.
    """
    if name not in FAMILIES:
        hint = did_you_mean(name, FAMILIES)
        raise UserError(f"there is no network {name!r}{hint}; the networks are {', '.join(FAMILIES)}")
    return FAMILIES[name]
