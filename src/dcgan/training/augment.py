"""Augmentations of what the discriminator sees: pure, differentiable functions of a batch and of random numbers.

A flip augments the data: the discriminator sees half of the real pictures mirrored. DiffAugment (Zhao et al.,
"Differentiable Augmentation for Data-Efficient GAN Training", 2020) is applied to real and generated pictures alike,
in the generator's update too, so that the generator does not learn to draw augmented pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcgan.errors import UserError, did_you_mean
from dcgan.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    from dcgan.rng import RandomSource
else:
    torch, F = LazyModule("torch"), LazyModule("torch.nn.functional")

MAX_SHIFT = 1 / 8
"""The largest translation, as a fraction of the picture's side."""
CUTOUT_SIDE = 1 / 2
"""The side of the square that is cut out, as a fraction of the picture's side."""


@dataclass(frozen=True)
class Augmentation:
    """One augmentation.

    Attributes:
        apply: (images (N, C, H, W) in [-1, 1], random numbers) -> images of the same shape.
        only_reals: it augments the data: it is applied to the real pictures only. Otherwise it is applied to everything
            that the discriminator sees, and must be differentiable.
    """

    apply: Callable[[Tensor, RandomSource], Tensor]
    only_reals: bool = False


def random_flip(images: Tensor, random: RandomSource) -> Tensor:
    """Mirror each picture (N, C, H, W) left to right with a probability of 1/2."""
    is_mirrored = random.uniform(len(images), 1, 1, 1) < 0.5
    return torch.where(is_mirrored, images.flip(3), images)


def diffaugment(images: Tensor, random: RandomSource) -> Tensor:
    """Change the color of each picture (N, C, H, W) in [-1, 1], translate it, and cut a square out of it."""
    return random_cutout(random_translation(random_color(images, random), random), random)


def random_color(images: Tensor, random: RandomSource) -> Tensor:
    """Change brightness by ±0.5, saturation by a factor of 0 to 2, contrast by a factor of 0.5 to 1.5.

    The opacity of RGBA pictures stays as it is.
    """
    factors = [random.uniform(len(images), 1, 1, 1, dtype=images.dtype) for _ in range(3)]
    brightness, saturation, contrast = factors
    colors, opacity = images[:, :3], images[:, 3:]
    colors = colors + (brightness - 0.5)
    gray = colors.mean(dim=1, keepdim=True)
    colors = gray + (colors - gray) * (saturation * 2)  # a gray picture does not change here
    mean = colors.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([mean + (colors - mean) * (contrast + 0.5), opacity], dim=1)


def random_translation(images: Tensor, random: RandomSource) -> Tensor:
    """Translate each picture by up to `MAX_SHIFT` of its sides; the new border is 0."""
    n, _, height, width = images.shape
    max_down, max_right = int(height * MAX_SHIFT + 0.5), int(width * MAX_SHIFT + 0.5)
    device = images.device
    dy, dx = random.integers(n, 2 * max_down + 1), random.integers(n, 2 * max_right + 1)
    rows = dy + torch.arange(height, device=device)  # (N, H), indices into the padded picture
    columns = dx + torch.arange(width, device=device)
    padded = F.pad(images, (max_right, max_right, max_down, max_down))
    picture = torch.arange(n, device=device)[:, None, None]
    # One indexing operation for the whole batch: (N, H, W, C), then back.
    return padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_cutout(images: Tensor, random: RandomSource) -> Tensor:
    """Set a square with sides of `CUTOUT_SIDE` to 0. Its center may be anywhere in the picture."""
    n, _, height, width = images.shape
    is_inside = []
    for side in (height, width):
        hole = int(side * CUTOUT_SIDE + 0.5)
        start = random.integers(n, side + 1 - hole % 2) - hole // 2
        offset = torch.arange(side, device=images.device) - start
        is_inside.append((offset >= 0) & (offset < hole))
    is_cut = is_inside[0][:, None, :, None] & is_inside[1][:, None, None, :]
    return images.masked_fill(is_cut, 0)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Augmentation(random_flip, only_reals=True),
    "diffaugment": Augmentation(diffaugment),
}
"""The augmentations that `--augment` names, joined by `+`. To add one, add an entry: see docs/extending.md."""
NO_AUGMENTATION, AUTO_AUGMENTATION = "none", "auto"


def find_augmentations(text: str) -> Sequence[Augmentation]:
    """Return the augmentations that a setting such as `flip+diffaugment` names, in its order.

    Raises:
        UserError: one of them does not exist.
    """
    if text in (NO_AUGMENTATION, AUTO_AUGMENTATION):
        return ()
    for name in (names := text.split("+")):
        if name not in AUGMENTATIONS:
            known = [NO_AUGMENTATION, AUTO_AUGMENTATION, *AUGMENTATIONS]
            raise UserError(
                f"--augment must be one of {', '.join(known)}, or several joined by +, not {text}"
                f"{did_you_mean(name, known)}"
            )
    return [AUGMENTATIONS[name] for name in names]


def apply_augmentations(augment: str, images: Tensor, random: RandomSource, *, only_reals: bool) -> Tensor:
    """Apply those augmentations of a setting that are for real pictures only, or those that are for all pictures.

    Args:
        augment: a resolved setting, such as `none` or `flip+diffaugment`.
        images: (N, C, H, W) in [-1, 1].
        random: random numbers for this batch.
        only_reals: which of them: see `Augmentation.only_reals`.
    """
    for augmentation in find_augmentations(augment):
        if augmentation.only_reals == only_reals:
            images = augmentation.apply(images, random)
    return images
