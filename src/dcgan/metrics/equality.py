"""A test of whether samples and real pictures have the same distribution: a permutation test of the kernel distance."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan.metrics.fidelity import DISTANCE_ROWS, kernel_block
from dcgan.rng import SeparatePurpose, derive_separate_seed

PERMUTATIONS = 499
"""Random divisions of all pictures into two sets that the distance is compared with."""
MAX_TESTED = 2_000
"""Pictures of each side that are compared at most: the cost grows with n squared, and so many show every difference
that matters."""
RELATIVE_ROUNDING = 1e-12
"""Rounding of a kernel distance at most, as a share of the largest kernel of two pictures."""


@dataclass(frozen=True)
class EqualityTest:
    """The outcome of a permutation test.

    Attributes:
        p_value: how often a random division of all pictures into two sets has at least their distance, at least
            1 / (permutations + 1). If both sets have one distribution it is at most 0.05 in 5% of all cases.
        permutations: the number of random divisions.
        n_fake: the samples that were compared.
        n_real: the real pictures that were compared.
    """

    p_value: float
    permutations: int
    n_fake: int
    n_real: int


def permutation_test(fake: Tensor, real: Tensor, seed: int = 0) -> EqualityTest:
    """Test whether features (N, D) and (M, D) have the same distribution (Gretton et al. 2012).

    The statistic is `fidelity.kernel_distance`. All permutations are computed from one matrix of kernels, a block of
    rows at a time.

    Args:
        fake: of the samples, at least two; at most `MAX_TESTED` are used.
        real: of the real pictures, the same.
        seed: of the permutations.
    """
    fake, real = fake[:MAX_TESTED], real[:MAX_TESTED]
    n, m = len(fake), len(real)
    source = np.random.Generator(np.random.Philox(key=derive_separate_seed(seed, SeparatePurpose.PERMUTATIONS)))
    is_fake = torch.zeros(n + m, PERMUTATIONS + 1, dtype=torch.float64)
    is_fake[:n, 0] = 1
    for column in range(1, PERMUTATIONS + 1):
        is_fake[torch.from_numpy(source.permutation(n + m)[:n]), column] = 1
    features = torch.cat([fake, real]).double()
    distances = _kernel_distances(features, is_fake, n, m)
    largest_kernel = (features.square().mean(1).max() + 1) ** 3
    # Divisions that are equal but for rounding count as equal.
    count = int((distances[1:] >= distances[0] - RELATIVE_ROUNDING * largest_kernel).sum())
    return EqualityTest((1 + count) / (1 + PERMUTATIONS), PERMUTATIONS, n, m)


def _kernel_distances(features: Tensor, is_fake: Tensor, n: int, m: int) -> Tensor:
    """Return the kernel distance of each division, a column of `is_fake` (n + m, divisions)."""
    fake_total, mixed_total = torch.zeros(2, is_fake.shape[1], dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, n + m, DISTANCE_ROWS):
        rows = slice(start, start + DISTANCE_ROWS)
        kernel = kernel_block(features[rows], features)
        kernel[torch.arange(len(kernel)), torch.arange(start, start + len(kernel))] = 0  # no picture with itself
        with_fakes = kernel @ is_fake  # (rows, divisions)
        fake_total += (is_fake[rows] * with_fakes).sum(0)
        mixed_total += ((1 - is_fake[rows]) * with_fakes).sum(0)
        total += kernel.sum()
    real_total = total - fake_total - 2 * mixed_total
    distances: Tensor = fake_total / (n * (n - 1)) + real_total / (m * (m - 1)) - 2 * mixed_total / (n * m)
    return distances
