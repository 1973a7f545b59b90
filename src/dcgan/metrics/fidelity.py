"""Metrics that compare the features of generated pictures with those of real pictures.

The arithmetic is torch-fidelity's wherever it has the metric. Features are float32 (N, D). Distances between
distributions are computed in double precision, because they are small differences of large sums. Distances between
neighbors are computed in single precision, which takes half the time and half the memory. KID draws subsets, and the
Inception score divides the samples into ten parts; both do so from a seed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.errors import UserError

NEIGHBOR_K = 5
"""The k of precision, recall, density and coverage, as in Naeem et al. 2020."""
KID_SUBSET_COUNT = 50
"""Subsets that the kernel distance is the mean of."""
KID_SUBSET_SIZE = 1000
"""Feature vectors of each set in such a subset."""
MIN_IMAGES = 100
"""Pictures that each side needs, whatever the features are."""
DISTANCE_ROWS = 200
"""Rows of a distance matrix that are in memory at a time; more rows are not faster."""
EXTRAPOLATION_POINTS = 15
"""Sample sizes that the extrapolation to infinitely many samples uses, as in Chong and Forsyth 2020."""


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean (D,) and covariance (D, D) of features, in double precision."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def check_image_count(n: int, feature_count: int, subject: str, remedy: str) -> None:
    """Refuse a set that is too small for the metrics.

    Args:
        n: the number of pictures.
        feature_count: the number D of features; a covariance of D features needs more than D samples.
        subject: what is too small, such as `the test split of mnist`, for the error line.
        remedy: what the user can do, for the error line.

    Raises:
        UserError: the set is too small.
    """
    minimum = max(feature_count + 1, MIN_IMAGES)
    if n < minimum:
        raise UserError(f"{subject}: {feature_count} features need at least {minimum:,} pictures, not {n:,}: {remedy}")


def gaussian_statistics(features: Tensor) -> GaussianStatistics:
    """Return the mean and the covariance of features (N, D)."""
    from torch_fidelity.metric_fid import fid_features_to_statistics  # slow to import

    statistics = fid_features_to_statistics(features.double())
    return GaussianStatistics(statistics["mu"], statistics["sigma"])


def frechet_distance(a: GaussianStatistics, b: GaussianStatistics) -> float:
    """Return the Fréchet distance of two Gaussians: |μ - m|² + tr(Σ + S - 2 √(ΣS)) (Heusel et al. 2017). 0 is best.

    Rounding can bring the formula a little below 0; the result is 0 then.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric  # slow to import

    statistics = [{"mu": s.mean, "sigma": s.covariance} for s in (a, b)]
    return max(0.0, float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]))


def extrapolated_frechet_distance(fake: Tensor, real: GaussianStatistics, seed: int = 0) -> float:
    """Return the Fréchet distance extrapolated to infinitely many generated samples (Chong and Forsyth 2020).

    The distance falls with n almost as a + b / n, so distances of different n cannot be compared. A line is fitted to
    the distances of subsets that are drawn without replacement; a is its value at 1 / n = 0. The result can be a
    little below 0. The bias that comes from the number of real pictures remains.

    Args:
        fake: features of the samples, (N, D).
        real: statistics of the real features.
        seed: of the subsets.
    """
    source = np.random.Generator(np.random.Philox(key=seed))
    n, feature_count = fake.shape
    sizes = np.linspace(max(n // 5, min(n, feature_count + 1)), n, EXTRAPOLATION_POINTS).astype(int)
    distances = [
        frechet_distance(gaussian_statistics(fake[torch.from_numpy(source.permutation(n)[:size])]), real)
        for size in sizes.tolist()
    ]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def kernel_distance(fake: Tensor, real: Tensor, seed: int = 0) -> float:
    """Return the kernel distance: the mean of unbiased squared MMDs with (xᵀy / D + 1)³ (Bińkowski et al. 2018).

    Its expectation does not depend on n. For equal distributions it is 0 on average, so it can be a little below 0.

    Args:
        fake: (N, D).
        real: (M, D).
        seed: of the subsets, each of `KID_SUBSET_SIZE` features, or of all if there are fewer.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric  # slow to import

    size = min(KID_SUBSET_SIZE, len(fake), len(real))
    is_complete = size == len(fake) == len(real)  # every subset would be the same: all features of both
    result = kid_features_to_metric(
        fake.double(),
        real.double(),
        kid_subsets=1 if is_complete else KID_SUBSET_COUNT,
        kid_subset_size=size,
        rng_seed=seed % 2**32,
        verbose=False,
    )
    return float(result[KEY_METRIC_KID_MEAN])


def inception_score(scores: Tensor) -> float:
    """Return exp of the mean KL(p(class | picture) ‖ p(class)) (Salimans et al. 2016): 1 to the number of classes.

    It is torch-fidelity's mean over ten parts of the samples. It is called an Inception score only if Inception gave
    the class scores; with those of the judge it is the same formula.

    Args:
        scores: class scores before the softmax, (N, classes).
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric  # slow to import

    return float(isc_features_to_metric(scores)[KEY_METRIC_ISC_MEAN])


def precision_recall(fake: Tensor, real: Tensor, k: int = NEIGHBOR_K) -> tuple[float, float]:
    """Return the share of fakes on the real manifold, and of reals on that of the fakes (Kynkäänniemi et al. 2019).

    The manifold of a set is the union of a ball around each of its points that reaches to the point's k-th nearest
    neighbor in the set.

    Args:
        fake: (N, D).
        real: (M, D).
        k: the neighbor that a ball reaches to.
    """
    from torch_fidelity.metric_prc import (  # slow to import
        KEY_METRIC_PRECISION,
        KEY_METRIC_RECALL,
        prc_features_to_metric,
    )

    result = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=DISTANCE_ROWS, save_cpu_ram=True, verbose=False
    )
    return float(result[KEY_METRIC_PRECISION]), float(result[KEY_METRIC_RECALL])


def density_coverage(fake: Tensor, real: Tensor, k: int = NEIGHBOR_K) -> tuple[float, float]:
    """Return how many real balls a fake is in, over k, and the share of real balls that a fake is in.

    Single outliers change these less than precision and recall (Naeem et al. 2020). The density can be above 1.

    Args:
        fake: (N, D).
        real: (M, D).
        k: the neighbor that a ball reaches to.
    """
    pair_count, covered_count = 0, 0
    for rows in torch.split(real, DISTANCE_ROWS):
        # each point is the nearest to itself, so its k-th neighbor is the (k + 1)-th nearest point
        radii = torch.cdist(rows, real).topk(k + 1, dim=1, largest=False).values[:, -1:]
        is_inside = torch.cdist(rows, fake) < radii  # (rows, N)
        pair_count += int(is_inside.sum())
        covered_count += int(is_inside.any(1).sum())
    return pair_count / (k * len(fake)), covered_count / len(real)
