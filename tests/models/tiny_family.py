"""A network family that a test adds at run time: one linear layer in each network."""

import math

from torch import Tensor, nn

from dcgan.config import Config
from dcgan.models.blocks import append_one_hot
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator


class Generator(SavedGenerator):
    """Draws a picture with one linear layer."""

    family = "tiny"

    def __init__(self, z_dim: int = 8, picture_shape: ImageShape = (1, 28, 28), classes: int = 0) -> None:
        super().__init__()
        self.z_dim, self.picture_shape, self.classes = z_dim, picture_shape, classes
        self.layer = nn.Linear(z_dim + classes, math.prod(picture_shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        z = z if labels is None else append_one_hot(z, labels, self.classes)
        return self.layer(z).tanh().view(-1, *self.picture_shape)


class Discriminator(nn.Module):
    """Scores a picture with one linear layer."""

    def __init__(self, picture_shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.layer = nn.Linear(math.prod(picture_shape) + classes, 1)

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        x = image.flatten(1)
        return self.layer(x if labels is None else append_one_hot(x, labels, self.classes))


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, Discriminator]:
    return Generator(config.z_dim, shape, classes), Discriminator(shape, classes)


def init(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
