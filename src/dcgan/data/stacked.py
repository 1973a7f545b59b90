"""Stacked MNIST: three random digits are the red, green and blue of one image; the 1,000 classes are 000 to 999.

Lin et al., "PacGAN" (2018), after Metz et al. (2017): on this set mode collapse can be counted. They stack all 70,000
digits 128,000 times; here training uses the 60,000 training digits only, so that the test split stays unseen.
"""

import numpy as np
import torch
from torch import Tensor

from dcgan.data.mnist import read_mnist
from dcgan.rng import RandomPurpose, derive_seed

CLASS_NAMES = tuple(f"{i:03d}" for i in range(1000))
STACK_COUNTS = {"train": 128_000, "test": 26_000}
"""Number of stacks in each split. Modes are counted from 26,000 samples."""


def read_stacked(split: str, seed: int) -> tuple[Tensor, Tensor]:
    """Return images uint8 (N, 3, 28, 28) and labels int64 (N,): the three digits read as one number.

    Args:
        split: `train` or `test`.
        seed: for drawing the digits.
    """
    digits, labels = read_mnist(split)
    key = derive_seed(seed, RandomPurpose.STACKED_DIGITS, int(split == "test"))
    generator = np.random.Generator(np.random.Philox(key=key))
    rows = torch.from_numpy(generator.integers(len(labels), size=(STACK_COUNTS[split], 3)))
    return digits[rows], (labels.long()[rows] * torch.tensor([100, 10, 1])).sum(1)
