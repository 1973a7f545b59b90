"""Stacked MNIST: three random digits as the red, green and blue of one picture; 1,000 classes, 000 to 999.

Lin et al., "PacGAN" (2018), after Metz et al. (2017): the set on which mode collapse can be counted. They stack all
70,000 digits 128,000 times; here training uses the 60,000 training digits only, so that the test part stays unseen.
"""

import numpy as np
import torch
from torch import Tensor

from dcgan.data import mnist
from dcgan.rng import derive_seed

STACK_COUNT = {"train": 128_000, "test": 26_000}
"""Stacks in each part; 26,000 is how many samples the modes are counted from."""
STACK_PURPOSE = 5
"""Of the draw, for `latents.derive`."""


def read_stacked(split: str, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures uint8 (N, 3, 28, 28) and labels int64 (N,), the digits read as one number."""
    pixels, labels = mnist.read_mnist(split)
    source = np.random.Generator(np.random.Philox(key=derive_seed(seed, STACK_PURPOSE, int(split == "test"))))
    drawn = torch.from_numpy(source.integers(len(labels), size=(STACK_COUNT[split], 3)))
    return pixels[drawn], (labels.long()[drawn] * torch.tensor([100, 10, 1])).sum(1)
