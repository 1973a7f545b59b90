"""The vanilla GAN: fully connected networks that see a picture as one long vector.

Goodfellow et al., "Generative Adversarial Networks" (2014), with the layers that courses teach today: BatchNorm and
ReLU in the generator, LeakyReLU in the discriminator. With classes, a one-hot vector is put behind z and behind the
pixels (Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014).
"""

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.config import Norm
from dcgan.errors import UserError
from dcgan.models.blocks import append_one_hot, checked_shape, with_weight_norm
from dcgan.models.saved import SavedGenerator


class FlatGenerator(SavedGenerator):
    """z -> picture: four hidden layers, each twice as wide as the one before.

    Args:
        z_dim: length of the latent vector.
        picture_shape: (C, H, W) of what it draws.
        width: units of the first layer.
        norm: what normalises the hidden layers.
        classes: how many it can draw, 0 for an unconditional one.
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
        self.picture_shape = checked_shape(picture_shape)
        sizes = [z_dim + classes, width, width * 2, width * 4, width * 8]
        blocks = [_block(a, b, norm, nn.ReLU(inplace=True)) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(
            *blocks, with_weight_norm(nn.Linear(sizes[-1], math.prod(self.picture_shape)), norm), nn.Tanh()
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim), and labels (N,) if there are classes -> pictures (N, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(z if labels is None else append_one_hot(z, labels, self.classes))
        return images.view(-1, *self.picture_shape)


class FlatDiscriminator(nn.Module):
    """Picture -> score: three hidden layers, each half as wide as the one before.

    Args:
        picture_shape: (C, H, W) of what it looks at.
        width: units of the last hidden layer.
        norm: what normalises the hidden layers.
        classes: how many, 0 for an unconditional one.
    """

    def __init__(
        self, picture_shape: tuple[int, int, int] = (1, 28, 28), width: int = 128, norm: Norm = "none", classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = [math.prod(picture_shape) + classes, width * 4, width * 2, width]
        blocks = [_block(a, b, norm, nn.LeakyReLU(0.2, inplace=True)) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(*blocks, with_weight_norm(nn.Linear(width, 1), norm))

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1], and labels (N,) if there are classes -> scores (N, 1)."""
        flat = image.flatten(1)
        scores: Tensor = self.layers(flat if labels is None else append_one_hot(flat, labels, self.classes))
        return scores


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm over vectors that bears a batch of one, as the last batch of an epoch can be.

    One vector has no variance of its own; the running statistics stand in for it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (N, D) -> (N, D)."""
        if len(x) > 1:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def _block(inputs: int, outputs: int, norm: Norm, activation: nn.Module) -> nn.Sequential:
    if norm == "instance":
        raise UserError("the network mlp has no pixels to normalise over: use batch, layer, none or spectral")
    layers: list[nn.Module] = [with_weight_norm(nn.Linear(inputs, outputs), norm)]
    if norm in ("batch", "layer"):
        layers.append(BatchNorm(outputs) if norm == "batch" else nn.LayerNorm(outputs))
    return nn.Sequential(*layers, activation)


def init(layer: nn.Module) -> None:
    """The weights stay as torch draws them, uniform in ±1 / sqrt(inputs)."""
