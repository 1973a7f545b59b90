"""How near the generated features lie to the real ones. The arithmetic is torch-fidelity's wherever it has the metric.

Features go in as float32 (N, D). Distances between distributions are reckoned in double precision: they are small
differences of large sums. Who is near whom is not, at half the time and memory. KID draws subsets and the Inception
score divides into tenths, both from a seed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.errors import UserError

NEIGHBOUR_K = 5
"""The k of precision, recall, density and coverage, as in Naeem et al. 2020."""
KID_SUBSETS, KID_SIZE = 50, 1000
MIN_PICTURES = 100
"""Pictures on either side, whatever the features."""
ROWS = 200
"""Rows of a distance matrix that are in memory at a time: more are no quicker."""
POINTS = 15
"""Sample sizes from which the extrapolation to infinitely many samples is made, as in Chong and Forsyth 2020."""


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean (D,) and covariance (D, D) of features, in double precision."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def check_enough(n: int, length: int, whose: str, remedy: str) -> None:
    """Refuse sets from which the metrics cannot be had.

    Args:
        n: how many pictures there are.
        length: of the features; a covariance of D features needs more than D samples.
        whose: such as `the test part of mnist`, for the message.
        remedy: what to do, for the message.

    Raises:
        UserError: too few.
    """
    least = max(length + 1, MIN_PICTURES)
    if n < least:
        raise UserError(f"{whose}: {length} features need at least {least:,} pictures, not {n:,}: {remedy}")


def gaussian_statistics(features: Tensor) -> GaussianStatistics:
    """Mean and covariance of features (N, D)."""
    from torch_fidelity.metric_fid import fid_features_to_statistics

    found = fid_features_to_statistics(features.double())
    return GaussianStatistics(found["mu"], found["sigma"])


def frechet_distance(a: GaussianStatistics, b: GaussianStatistics) -> float:
    """The Fréchet distance of two Gaussians: |μ - m|² + tr(Σ + S - 2 √(ΣS)) (Heusel et al. 2017). 0 is best.

    Rounding can take it a little below 0; it is 0 then.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    stats = [{"mu": s.mean, "sigma": s.covariance} for s in (a, b)]
    return max(0.0, float(fid_statistics_to_metric(*stats, verbose=False)[KEY_METRIC_FID]))


def extrapolated_frechet_distance(fake: Tensor, real: GaussianStatistics, seed: int = 0) -> float:
    """The Fréchet distance extrapolated to infinitely many generated samples (Chong and Forsyth 2020).

    It falls with n nearly as a + b / n, which is why distances of different n cannot be compared. The line is fitted
    through subsets drawn without replacement, and a is what is left at 1 / n = 0. It may come out a little below 0.
    The real statistics are what they are: what *their* number costs stays in.

    Args:
        fake: (N, D).
        real: statistics to be near to.
        seed: of the subsets.
    """
    source = np.random.Generator(np.random.Philox(key=seed))
    n, length = fake.shape
    sizes = np.linspace(max(n // 5, min(n, length + 1)), n, POINTS).astype(int)
    values = [
        frechet_distance(gaussian_statistics(fake[torch.from_numpy(source.permutation(n)[:size])]), real)
        for size in sizes.tolist()
    ]
    return float(np.polyfit(1 / sizes, values, 1)[1])


def kernel_distance(fake: Tensor, real: Tensor, seed: int = 0) -> float:
    """The kernel distance: the mean of unbiased squared MMDs with (xᵀy / D + 1)³ (Bińkowski et al. 2018).

    Its expectation does not depend on n. 0 on average for equal distributions, so it may be a little below.

    Args:
        fake: (N, D).
        real: (M, D).
        seed: of the subsets, `KID_SIZE` of each or as many as there are.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(KID_SIZE, len(fake), len(real))
    found = kid_features_to_metric(
        fake.double(),
        real.double(),
        kid_subsets=1 if size == len(fake) == len(real) else KID_SUBSETS,  # all of both is always the same subset
        kid_subset_size=size,
        rng_seed=seed % 2**32,
        verbose=False,
    )
    return float(found[KEY_METRIC_KID_MEAN])


def inception_score(scores: Tensor) -> float:
    """The exponential of the mean KL(p(class | picture) ‖ p(class)) (Salimans et al. 2016): 1 to the number of classes.

    Torch-fidelity's mean over ten tenths. It is called an Inception score only where Inception gave the scores; with
    the judge's it is the same formula.

    Args:
        scores: before the softmax, (N, classes).
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    return float(isc_features_to_metric(scores)[KEY_METRIC_ISC_MEAN])


def precision_recall(fake: Tensor, real: Tensor, k: int = NEIGHBOUR_K) -> tuple[float, float]:
    """The share of fakes inside the real manifold, and of reals inside the fakes' (Kynkäänniemi et al. 2019).

    A set's manifold is a ball around each of its points that reaches to its k-th nearest neighbour in the set.

    Args:
        fake: (N, D).
        real: (M, D).
        k: which neighbour.
    """
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    found = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=ROWS, save_cpu_ram=True, verbose=False
    )
    return float(found[KEY_METRIC_PRECISION]), float(found[KEY_METRIC_RECALL])


def density_coverage(fake: Tensor, real: Tensor, k: int = NEIGHBOUR_K) -> tuple[float, float]:
    """How many real balls a fake lies in, over k; and the share of real balls with a fake inside (Naeem et al. 2020).

    Unlike precision and recall they are hardly moved by single outliers. Density may be above 1.

    Args:
        fake: (N, D).
        real: (M, D).
        k: the neighbour that a ball reaches to.
    """
    within, covered = 0, 0
    for rows in torch.split(real, ROWS):
        # a point is its own nearest: the k-th other one is the (k + 1)-th
        radii = torch.cdist(rows, real).topk(k + 1, dim=1, largest=False).values[:, -1:]
        inside = torch.cdist(rows, fake) < radii  # (rows, N)
        within += int(inside.sum())
        covered += int(inside.any(1).sum())
    return within / (k * len(fake)), covered / len(real)
