"""The family `resnet`: residual networks without normalization for the modern objective, at any size from 16 to 256.

Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN" (2024): bottleneck blocks that start as the
identity (Fix-up: Zhang et al. 2019), LeakyReLU 0.2, bilinear resampling. These networks are smaller, so that a CPU
can train them: they have one block for each resolution and one group in each convolution. A tanh keeps the pictures in
[-1, 1]. With classes, an embedding follows z, and the discriminator projects its features on the vector of the class
(Miyato and Koyama 2018).
"""

import itertools

import torch
from torch import Tensor, nn

from dcgan.config import Config, Norm
from dcgan.errors import UserError
from dcgan.models.blocks import (
    ProjectionDiscriminator,
    center_crop,
    check_picture_shape,
    count_doublings,
    doubling_widths,
    embed_labels,
)
from dcgan.models.conv_transpose import ConvTranspose2d
from dcgan.models.families import ImageShape
from dcgan.models.saved import SavedGenerator

NEGATIVE_SLOPE = 0.2
"""Slope of LeakyReLU below 0."""


class Block(nn.Module):
    """Residual block x + 1x1(act(3x3(act(1x1(x))))), with half as many channels inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner_channels = max(channels // 2, 1)
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inner_channels, 1),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            nn.Conv2d(inner_channels, inner_channels, 3, padding=1),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            nn.Conv2d(inner_channels, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Take and return (N, C, H, W)."""
        y: Tensor = self.branch(x)
        return x + y


class Generator(SavedGenerator):
    """Draws a picture from a latent z: a linear layer to 4 to 7 pixels, then a block at every resolution.

    Args:
        z_dim: length of the latent.
        picture_shape: (C, H, W) of the pictures.
        width: channels at full resolution.
        classes: number of classes, 0 for an unconditional generator.
    """

    family = "resnet"

    def __init__(
        self,
        z_dim: int = 64,
        picture_shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 32,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.classes = classes
        self.picture_shape = check_picture_shape(picture_shape)
        doublings, start = count_doublings(self.picture_shape[1:])
        widths = doubling_widths(width, doublings + 1)[::-1]
        self.label = nn.Embedding(classes, z_dim) if classes else None
        self.first = ConvTranspose2d(z_dim * (2 if classes else 1), widths[0], start)
        stages: list[nn.Module] = [Block(widths[0])]
        for inputs, outputs in itertools.pairwise(widths):
            # Before the resampling, the 1x1 convolution gives the same result as after it, on a quarter of the pixels.
            upsample = nn.Upsample(scale_factor=2, mode="bilinear")
            stages += [nn.Conv2d(inputs, outputs, 1, bias=False), upsample, Block(outputs)]
        self.stages = nn.Sequential(*stages)
        self.last = nn.Sequential(nn.Conv2d(width, self.picture_shape[0], 1), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim), and labels (N,) if there are classes; return images (N, C, H, W) in [-1, 1]."""
        z = z if self.label is None or labels is None else torch.cat([z, embed_labels(self.label, labels)], dim=1)
        images: Tensor = self.last(self.stages(self.first(z.view(*z.shape, 1, 1))))
        return center_crop(images, self.picture_shape[1:])


class Discriminator(ProjectionDiscriminator):
    """Scores a picture: a block at every resolution, then one linear layer over all features.

    Args:
        picture_shape: (C, H, W) of the pictures.
        width: channels at full resolution.
        classes: number of classes, 0 for an unconditional discriminator.
    """

    def __init__(self, picture_shape: tuple[int, int, int] = (1, 28, 28), width: int = 32, classes: int = 0) -> None:
        doublings, end = count_doublings(check_picture_shape(picture_shape)[1:])
        widths = doubling_widths(width, doublings + 1)
        stages: list[nn.Module] = [nn.Conv2d(picture_shape[0], width, 1), Block(width)]
        for inputs, outputs in itertools.pairwise(widths):
            stages += [nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), Block(outputs)]
        score = nn.Conv2d(widths[-1], 1, end)
        padded_size = (end[0] * 2**doublings, end[1] * 2**doublings)
        super().__init__(padded_size, nn.Sequential(*stages), score, widths[-1] * end[0] * end[1], classes)


def build(config: Config, shape: ImageShape, classes: int) -> tuple[Generator, Discriminator]:
    """Return both networks for the settings, see `families.FamilyModule`."""
    _check_norm("g-norm", config.g_norm)
    _check_norm("d-norm", config.d_norm)
    return Generator(config.z_dim, shape, config.g_width, classes), Discriminator(shape, config.d_width, classes)


def _check_norm(flag: str, norm: Norm) -> None:
    if norm != "none":  # a block that starts as the identity has nothing to normalize
        raise UserError(f"the network resnet has no normalization: use --{flag} none, as --preset r3gan does")


def init(layer: nn.Module) -> None:
    """Initialize a whole network by Fix-up, and leave its single layers.

    The last convolution of a block is zero, and its others are scaled by L^-0.25 for L blocks in the network.
    """
    if not isinstance(layer, Generator | Discriminator):
        return
    for conv in layer.modules():
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            _init_conv(conv)
    if isinstance(layer, Discriminator) and layer.classes is not None:
        nn.init.normal_(layer.classes.weight, 0.0, layer.classes.embedding_dim**-0.5)
    blocks = [block for block in layer.modules() if isinstance(block, Block)]
    gain = nn.init.calculate_gain("leaky_relu", NEGATIVE_SLOPE)
    for block in blocks:
        for conv in (block.branch[0], block.branch[2]):
            conv.weight.data.mul_(gain * len(blocks) ** -0.25)  # type: ignore[operator]
        nn.init.zeros_(block.branch[4].weight)  # type: ignore[arg-type]


def _init_conv(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Draw the weight from N(0, 1 / inputs), inputs being the numbers that one output pixel is a sum of; no bias."""
    inputs = conv.in_channels * (1 if isinstance(conv, nn.ConvTranspose2d) else conv.weight[0, 0].numel())
    nn.init.normal_(conv.weight, 0.0, inputs**-0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
