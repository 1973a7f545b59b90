"""The family `mlp`: fully connected networks, for which a picture is one long vector.

Goodfellow et al., "Generative Adversarial Networks" (2014), with the layers that courses teach today: BatchNorm and
ReLU in the generator, LeakyReLU in the discriminator. With classes, a one-hot vector follows z and the pixels (Mirza
and Osindero, "Conditional Generative Adversarial Nets", 2014).
"""

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.config import Config, Norm
from dcgan.errors import UserError
from dcgan.models.blocks import append_one_hot, check_picture_shape, normalize_weight
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator


class Generator(SavedGenerator):
    """Draws a picture from a latent z: four hidden layers, each twice as wide as the one before.

    Args:
        z_dim: length of the latent.
        picture_shape: (C, H, W) of the pictures.
        width: units of the first layer.
        norm: normalization of the hidden layers.
        classes: number of classes, 0 for an unconditional generator.
    """

    family = "mlp"

    def __init__(
        self,
        z_dim: int = 64,
        picture_shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 128,
        norm: Norm = "batch",
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = check_picture_shape(picture_shape)
        sizes = [z_dim + classes, width, width * 2, width * 4, width * 8]
        blocks = [_block(a, b, norm, nn.ReLU(inplace=True)) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(
            *blocks, normalize_weight(nn.Linear(sizes[-1], math.prod(self.picture_shape)), norm), nn.Tanh()
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim), and labels (N,) if there are classes; return images (N, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(z if labels is None else append_one_hot(z, labels, self.classes))
        return images.view(-1, *self.picture_shape)


class Discriminator(nn.Module):
    """Scores a picture: three hidden layers, each half as wide as the one before.

    Args:
        picture_shape: (C, H, W) of the pictures.
        width: units of the last hidden layer.
        norm: normalization of the hidden layers.
        classes: number of classes, 0 for an unconditional discriminator.
    """

    def __init__(
        self, picture_shape: tuple[int, int, int] = (1, 28, 28), width: int = 128, norm: Norm = "none", classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = [math.prod(picture_shape) + classes, width * 4, width * 2, width]
        blocks = [_block(a, b, norm, nn.LeakyReLU(0.2, inplace=True)) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(*blocks, normalize_weight(nn.Linear(width, 1), norm))

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take images (N, C, H, W) in [-1, 1], and labels (N,) if there are classes; return scores (N, 1)."""
        flat = image.flatten(1)
        scores: Tensor = self.layers(flat if labels is None else append_one_hot(flat, labels, self.classes))
        return scores


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm over vectors that accepts a batch of one vector, as the last batch of an epoch can be.

    One vector has no variance, so the running statistics are used for it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Take vectors (N, D); return (N, D)."""
        if len(x) > 1:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def _block(inputs: int, outputs: int, norm: Norm, activation: nn.Module) -> nn.Sequential:
    if norm == "instance":
        raise UserError("the network mlp has no pixels to normalize over: use batch, layer, none or spectral")
    layers: list[nn.Module] = [normalize_weight(nn.Linear(inputs, outputs), norm)]
    if norm in ("batch", "layer"):
        layers.append(BatchNorm(outputs) if norm == "batch" else nn.LayerNorm(outputs))
    return nn.Sequential(*layers, activation)


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, Discriminator]:
    """Return both networks for the settings, see `families.FamilyModule`."""
    generator = Generator(config.z_dim, shape, config.g_width, config.g_norm, classes)
    return generator, Discriminator(shape, config.d_width, config.d_norm, classes)


def init(layer: nn.Module) -> None:
    """Leave the weights as torch draws them, uniform in ±1 / sqrt(inputs)."""
