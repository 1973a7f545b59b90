"""Pictures varied before the discriminator sees them: pure, differentiable functions of a batch and of chance.

A flip varies the data. DiffAugment (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020)
varies real and fake pictures alike, in the generator's update too, so that the generator does not learn to draw what
was varied.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.rng import RandomSource

SHIFT = 1 / 8
"""The furthest that a picture is moved, as a share of its side."""
HOLE = 1 / 2
"""The side of the square that is cut out, as a share of the picture's."""


def random_flip(images: Tensor, chance: RandomSource) -> Tensor:
    """Mirror each picture (N, C, H, W) left to right with a chance of 1/2."""
    mirrored = chance.uniform(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def diffaugment(images: Tensor, chance: RandomSource) -> Tensor:
    """Vary colour, place and a hole of each picture (N, C, H, W) in [-1, 1]. Of RGBA the opacity keeps its values."""
    return random_cutout(random_translation(random_color(images, chance), chance), chance)


def random_color(images: Tensor, chance: RandomSource) -> Tensor:
    """Brightness ±0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    drawn = [chance.uniform(len(images), 1, 1, 1, dtype=images.dtype) for _ in range(3)]
    brightness, saturation, contrast = drawn
    colours, opacity = images[:, :3], images[:, 3:]
    colours = colours + (brightness - 0.5)
    gray = colours.mean(dim=1, keepdim=True)
    colours = gray + (colours - gray) * (saturation * 2)  # of a gray picture nothing changes
    mean = colours.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([mean + (colours - mean) * (contrast + 0.5), opacity], dim=1)


def random_translation(images: Tensor, chance: RandomSource) -> Tensor:
    """Move each picture by up to `SHIFT` of its sides; what comes in is 0."""
    n, _, height, width = images.shape
    down, right = int(height * SHIFT + 0.5), int(width * SHIFT + 0.5)
    device = images.device
    dy, dx = chance.integers(n, 2 * down + 1), chance.integers(n, 2 * right + 1)
    rows = dy + torch.arange(height, device=device)  # (N, H), into the padded picture
    columns = dx + torch.arange(width, device=device)
    padded = F.pad(images, (right, right, down, down))
    each = torch.arange(n, device=device)[:, None, None]
    # Indexing all at once: (N, H, W, C), then back.
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_cutout(images: Tensor, chance: RandomSource) -> Tensor:
    """Set a square of `HOLE` of the sides to 0, its middle anywhere in the picture."""
    n, _, height, width = images.shape
    inside = []
    for side in (height, width):
        hole = int(side * HOLE + 0.5)
        start = chance.integers(n, side + 1 - hole % 2) - hole // 2
        place = torch.arange(side, device=images.device) - start
        inside.append((place >= 0) & (place < hole))
    hidden = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hidden, 0)
