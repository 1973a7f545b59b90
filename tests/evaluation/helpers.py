"""Files of samples for the tests of the evaluation."""

from pathlib import Path

import numpy as np

from dcgan.data.open import open_images
from dcgan.metrics.reference import choose_rows

SAMPLE_COUNT = 130
"""A few samples more than the Fréchet distance of 64 features needs."""


def write_digits(path: Path, count: int = 550, labels: bool = False) -> Path:
    """Write real test digits as the samples of another project."""
    test = open_images("mnist", "test")
    arrays = {"arr_1": test.labels[:count].numpy()} if labels else {}
    np.savez(path, arr_0=test.pixels[:count].permute(0, 2, 3, 1).numpy(), **arrays)
    return path


def write_copies(path: Path) -> Path:
    """Write copies of training digits as samples."""
    train = open_images("mnist").pixels
    np.savez(path, arr_0=train[choose_rows(len(train), 1100)[:550]].permute(0, 2, 3, 1).numpy())
    return path


def write_noise(path: Path, shape: tuple[int, ...]) -> Path:
    """Write noise, uint8 (N, H, W, C), as samples."""
    np.savez(path, arr_0=np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))
    return path
