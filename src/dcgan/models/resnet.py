"""Residual networks without any normalisation, for the modern objective, at any size from 16 to 256.

Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN" (2024): bottleneck blocks that start as the
identity (Fix-up: Zhang et al. 2019), LeakyReLU 0.2, bilinear resampling. Smaller than theirs: one block a resolution
and one group a convolution, so that a laptop can train them; and a tanh keeps pictures in [-1, 1]. With classes, an
embedding is put behind z, and the discriminator projects its features on the class's vector (Miyato and Koyama 2018).
"""

import itertools

import torch
from torch import Tensor, nn

from dcgan.config import Norm
from dcgan.errors import UserError
from dcgan.models.blocks import ConvTranspose2d, center_crop, center_pad, checked_shape, doublings, embed_labels
from dcgan.models.saved import SavedGenerator

WIDEST = 8
"""No layer has more channels than this many times the width."""
SLOPE = 0.2


class Block(nn.Module):
    """x -> x + 1x1(act(3x3(act(1x1(x))))), half as many channels inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = max(channels // 2, 1)
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inside, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(inside, inside, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(inside, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y: Tensor = self.branch(x)
        return x + y


class ResidualGenerator(SavedGenerator):
    """z -> picture: a linear layer to 4..7 pixels, then a block at every resolution.

    Args:
        z_dim: length of the latent vector.
        picture_shape: (C, H, W) of what it draws.
        width: channels at full resolution.
        classes: how many it can draw, 0 for an unconditional one.
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
        self.picture_shape = checked_shape(picture_shape)
        count, start = doublings(self.picture_shape[1:])
        widths = [width * min(2**i, WIDEST) for i in reversed(range(count + 1))]
        self.label = nn.Embedding(classes, z_dim) if classes else None
        self.first = ConvTranspose2d(z_dim * (2 if classes else 1), widths[0], start)
        stages: list[nn.Module] = [Block(widths[0])]
        for a, b in itertools.pairwise(widths):
            # The 1x1 convolution before the resampling gives what it would give after it, on a quarter of the pixels.
            stages += [nn.Conv2d(a, b, 1, bias=False), nn.Upsample(scale_factor=2, mode="bilinear"), Block(b)]
        self.stages = nn.Sequential(*stages)
        self.last = nn.Sequential(nn.Conv2d(width, self.picture_shape[0], 1), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim), and labels (N,) if there are classes -> pictures (N, C, H, W) in [-1, 1]."""
        z = z if self.label is None or labels is None else torch.cat([z, embed_labels(self.label, labels)], dim=1)
        images: Tensor = self.last(self.stages(self.first(z.view(*z.shape, 1, 1))))
        return center_crop(images, self.picture_shape[1:])


class ResidualDiscriminator(nn.Module):
    """Picture -> score: a block at every resolution, then one linear layer over all that is left.

    Args:
        picture_shape: (C, H, W) of what it looks at.
        width: channels at full resolution.
        classes: how many, 0 for an unconditional one.
    """

    def __init__(self, picture_shape: tuple[int, int, int] = (1, 28, 28), width: int = 32, classes: int = 0) -> None:
        super().__init__()
        count, end = doublings(checked_shape(picture_shape)[1:])
        self.padded = (end[0] * 2**count, end[1] * 2**count)
        widths = [width * min(2**i, WIDEST) for i in range(count + 1)]
        stages: list[nn.Module] = [nn.Conv2d(picture_shape[0], width, 1), Block(width)]
        for a, b in itertools.pairwise(widths):
            stages += [nn.AvgPool2d(2), nn.Conv2d(a, b, 1, bias=False), Block(b)]
        self.features = nn.Sequential(*stages)
        self.score = nn.Conv2d(widths[-1], 1, end)
        self.classes = nn.Embedding(classes, widths[-1] * end[0] * end[1]) if classes else None

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1], and labels (N,) if there are classes -> scores (N, 1)."""
        features: Tensor = self.features(center_pad(image, self.padded))
        scores: Tensor = self.score(features).view(-1, 1)
        if self.classes is not None:
            scores = scores + (features.flatten(1) * self.classes(labels)).sum(1, keepdim=True)
        return scores


def check_norm(name: str, norm: Norm) -> None:
    """Refuse a normalisation: a block that starts as the identity has nothing to normalise."""
    if norm != "none":
        raise UserError(f"the network resnet has no normalisation: use --{name} none, as --preset r3gan does")


def init(layer: nn.Module) -> None:
    """Fix-up: the last convolution of a block is zero, its others are scaled by L^-0.25 for L blocks in the network."""
    if not isinstance(layer, ResidualGenerator | ResidualDiscriminator):
        return
    for conv in layer.modules():
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            inputs = conv.in_channels * (1 if isinstance(conv, nn.ConvTranspose2d) else conv.weight[0, 0].numel())
            nn.init.normal_(conv.weight, 0.0, inputs**-0.5)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
    if isinstance(layer, ResidualDiscriminator) and layer.classes is not None:
        nn.init.normal_(layer.classes.weight, 0.0, layer.classes.embedding_dim**-0.5)
    blocks = [block for block in layer.modules() if isinstance(block, Block)]
    gain = nn.init.calculate_gain("leaky_relu", SLOPE)
    for block in blocks:
        for conv in (block.branch[0], block.branch[2]):
            conv.weight.data.mul_(gain * len(blocks) ** -0.25)  # type: ignore[operator]
        nn.init.zeros_(block.branch[4].weight)  # type: ignore[arg-type]
