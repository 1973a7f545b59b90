"""Samples beside the training pictures that are nearest to them."""

from typing import Any

import torch

from dcgan.data.open import ImageSet
from dcgan.metrics.nearest import CopySearch
from dcgan.sampling.model import Model

PAIR_COUNT = 8


def find_pairs(model: Model, training: ImageSet, seed: int) -> dict[str, Any]:
    """Return samples of a seed, and the nearest training picture of each, as JSON types.

    Args:
        model: the generator.
        training: the pictures that it was trained on, in its size.
        seed: of the samples.

    Returns:
        `samples` and `nearest` are lists of pixels (H, W, C) in that order, `distances` the root mean square of the
        differences of their pixels, from 0 (a copy) to 255. The search also finds mirrored and shifted ones.
    """
    samples = torch.from_numpy(model.sample(PAIR_COUNT, seed)).permute(0, 3, 1, 2)
    found = CopySearch(training.pixels).find([samples])
    nearest = training.pixels[found.shifted_rows].cpu()
    differences = (samples.float() - nearest.float()).square().flatten(1).mean(1).sqrt()
    return {
        "shape": list(model.generator.picture_shape),
        "samples": _to_lists(samples),
        "nearest": _to_lists(nearest),
        "distances": [round(difference, 1) for difference in differences.tolist()],
    }


def _to_lists(images: torch.Tensor) -> list[list[int]]:
    pixels: list[list[int]] = images.permute(0, 2, 3, 1).flatten(1).tolist()  # (N, C, H, W) -> (N, H·W·C)
    return pixels
