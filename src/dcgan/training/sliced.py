"""Sliced Wasserstein distances between pixels of samples and of real pictures.

Each random projection turns patches, or whole pictures, into numbers, and sorted numbers are compared (Elnekave, Weiss,
"Generating Natural Images with Direct Patch Distributions Matching", 2022; Heitz et al., "A Sliced Wasserstein Loss for
Neural Texture Synthesis", 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FILTER_COUNT, FILTER_SIDES, FILTER_SCALES, FILTER_STRIDE = 32, (3, 5, 7), (1, 2, 4), 4
"""Random filters in each step, their sides, the factors by which pictures are reduced, and the distance of patches in
pixels of the whole picture."""
SMALL_SIDES = (8, 4)
"""Sides of the small versions."""
EPSILON = 1e-6
"""What a divisor is at least, or is added below a root."""


@dataclass(frozen=True)
class SlicedRandom:
    """Random numbers of the distances.

    Attributes:
        numbers: draws filters and directions, on the device.
        choices: draws what Python has to know, on the CPU, so that no step waits for a GPU.
    """

    numbers: torch.Generator
    choices: torch.Generator

    @classmethod
    def seeded(cls, seed: int, device: torch.device) -> SlicedRandom:
        """Return generators with a seed. On a CPU they are one generator."""
        numbers = torch.Generator(device).manual_seed(seed)
        return cls(numbers, numbers if device.type == "cpu" else torch.Generator().manual_seed(seed))

    def normal(self, *shape: int) -> Tensor:
        """Return normal numbers on the device."""
        return torch.randn(shape, generator=self.numbers, device=self.numbers.device)

    def choice(self, options: Sequence[int]) -> int:
        """Return one of some options."""
        return options[int(torch.randint(len(options), (), generator=self.choices))]


def patch_distance(samples: Tensor, reals: Tensor, random: SlicedRandom, *, by_picture: bool) -> Tensor:
    """Return a sliced Wasserstein distance between patches of samples and of as many real pictures, a scalar.

    Each of some random filters turns every patch into a number, at one scale and with one side of the filters, both by
    chance. The distance is the mean difference of the sorted numbers, in standard deviations of the real ones, so that
    weak fine structure counts as much as strong coarse structure.

    Args:
        samples: (N, C, H, W) in [-1, 1].
        reals: (N, C, H, W).
        random: of the filters.
        by_picture: compare the patches of each sample with those of the real picture of the same row, instead of the
            patches of all with those of all.
    """
    scale, side = random.choice(FILTER_SCALES), random.choice(FILTER_SIDES)
    stride = max(1, FILTER_STRIDE // scale)
    top, left = (random.choice(range(stride)) for _ in range(2))
    filters = random_filters(random, samples.shape[1], side)

    def apply_filters(images: Tensor) -> Tensor:
        images = F.avg_pool2d(images, scale) if scale > 1 and min(images.shape[2:]) >= scale * side else images
        return F.conv2d(images[:, :, top:, left:], filters, stride=stride)

    with torch.no_grad():
        real_numbers = apply_filters(reals)
        # A filter that gives a single number, of one small picture, has no deviation.
        has_many = real_numbers[:, 0].numel() > 1
        spread = variances(real_numbers, (0, 2, 3)).sqrt().clamp(min=EPSILON**0.5) if has_many else 1.0
        real = (real_numbers / spread).flatten(2)
    own = (apply_filters(samples) / spread).flatten(2)
    if by_picture:
        return sorted_distance(own, real)
    return sorted_distance(own.transpose(0, 1).flatten(1), real.transpose(0, 1).flatten(1))


def random_filters(random: SlicedRandom, channels: int, side: int) -> Tensor:
    """Return filters (F, C, side, side) of length 1 of four kinds, a quarter of each.

    They are one random form with a random color, the color of one pixel, products of a low and a high pass, which
    notice the finest stripes and checkers, and free random numbers. All but colors have a mean of 0 in each channel.
    """
    filters = random.normal(FILTER_COUNT, channels, side, side)
    count, center = FILTER_COUNT // 4, side // 2
    colors = [random.normal(count, channels, 1, 1) for _ in range(3)]
    filters[::4] = filters[::4, :1] * colors[0]
    filters[2::4] = _band_filters(side, filters.device).repeat(count, 1, 1)[:count, None] * colors[1]
    filters = filters - filters.mean((2, 3), keepdim=True)
    filters[1::4] = 0
    filters[1::4, :, center, center] = colors[2][..., 0, 0]
    lengths: Tensor = torch.linalg.vector_norm(filters, dim=(1, 2, 3), keepdim=True)
    return filters / lengths


@lru_cache  # so that no step copies it to a GPU again
def _band_filters(side: int, device: torch.device) -> Tensor:
    """Return products of binomial low and high passes, (3, side, side): for stripes of two directions, and checkers."""
    low, high = (1.0, 4.0, 6.0, 4.0, 1.0), (1.0, -4.0, 6.0, -4.0, 1.0)
    if side < len(low):
        low, high = (1.0, 2.0, 1.0), (-1.0, 2.0, -1.0)  # type: ignore[assignment]
    rows, columns = torch.tensor([low, high, high]), torch.tensor([high, low, high])
    margin = (side - len(low)) // 2
    return F.pad(rows[:, :, None] * columns[:, None], (margin,) * 4).to(device)


def small_pictures(images: Tensor) -> list[Tensor]:
    """Return small versions of pictures (N, C, H, W) as vectors: at two sizes, and their mean, contrast and color."""
    small = [reduced(images, side) for side in SMALL_SIDES]
    saturation = (images.amax(1) - images.amin(1)).mean((1, 2))[:, None]
    return [*small, torch.cat([means_and_deviations(images, (2, 3)), saturation], 1)]


def means_and_deviations(images: Tensor, pixel_dims: tuple[int, int]) -> Tensor:
    """Return the mean and the standard deviation of each channel, (N, 2C).

    Args:
        images: (N, C, H, W), or (N, H, W, C) for maps in `channels_last`, so that their gradients have this layout too.
        pixel_dims: those of H and W.
    """
    deviations = (variances(images, pixel_dims) + EPSILON).sqrt()
    return torch.cat([images.mean(pixel_dims), deviations.flatten(1)], 1)


def variances(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return variances over some dimensions, which stay, of size 1. On a CPU `Tensor.var` needs ten times as long."""
    return (values - values.mean(dims, keepdim=True)).square().mean(dims, keepdim=True)


def sorted_distance(values: Tensor, real_values: Tensor) -> Tensor:
    """Return the mean difference of sorted numbers (..., N) from as many others: a Wasserstein distance, a scalar."""
    return (_sorted(values) - _sorted(real_values)).abs().mean()


def _sorted(values: Tensor) -> Tensor:
    """Return numbers (..., N) in their order. On a CPU, NumPy needs less time than torch (docs/experiments.md)."""
    if values.device.type != "cpu":
        return values.sort(-1).values
    if not values.requires_grad:
        return torch.from_numpy(np.sort(values.numpy(), axis=-1))
    order = torch.from_numpy(np.argsort(values.detach().numpy(), axis=-1))
    return values.gather(-1, order)


def reduced(images: Tensor, side: int) -> Tensor:
    """Return images (N, C, H, W), reduced to at most `side` pixels a side, as vectors."""
    size = min(side, images.shape[2]), min(side, images.shape[3])
    return F.adaptive_avg_pool2d(images, size).flatten(1)
