"""Metrics that compare the features of generated pictures with those of real pictures.

The arithmetic is torch-fidelity's wherever it has the metric. Features are float32 (N, D). Distances between
distributions are computed in double precision, because they are small differences of large sums. Distances between
neighbors are computed in single precision, which takes half the time and half the memory. The Inception score divides
the samples into ten parts, always in the same way.

What depends on the real pictures only (`GaussianStatistics`, `mean_kernel`, the radii) can be computed once for many
sets of samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dcgan.errors import UserError

NEIGHBOR_K = 5
"""The k of precision, recall, density and coverage, as in Naeem et al. 2020, unless another one is given."""
MIN_SAMPLES_PER_FEATURE = 2
"""Pictures of each side for each feature that the Fréchet distance needs: from fewer, its bias is larger than what it
measures."""
MIN_IMAGES = 3
"""Pictures that each side needs: without one of them there are still two to compare."""
DISTANCE_ROWS = 200
"""Rows of a distance or kernel matrix that are in memory at a time; more rows are not faster."""
EXTRAPOLATION_POINTS = 15
"""Sample sizes that the extrapolation to infinitely many samples uses, as in Chong and Forsyth 2020."""
EXTRAPOLATION_SAMPLES_PER_FEATURE = 5
"""Samples for each feature that the extrapolation needs: below that, the distance is far from a line in 1 / n."""


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean (D,) and covariance (D, D) of features, in double precision."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def check_image_count(n: int, subject: str, remedy: str) -> None:
    """Refuse a set that no metric can be computed from.

    Args:
        n: the number of pictures.
        subject: what is too small, such as `the test split of mnist`, for the error line.
        remedy: what the user can do, for the error line.

    Raises:
        UserError: there are fewer than `MIN_IMAGES`.
    """
    if n < MIN_IMAGES:
        raise UserError(f"{subject}: metrics need at least {MIN_IMAGES} pictures, not {n}: {remedy}")


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


def min_extrapolation_samples(feature_count: int) -> int:
    """Return the number of samples that `extrapolated_frechet_distance` needs at least."""
    return EXTRAPOLATION_SAMPLES_PER_FEATURE * feature_count


def extrapolated_frechet_distance(fake: Tensor, real: GaussianStatistics, seed: int = 0) -> float:
    """Return the Fréchet distance extrapolated to infinitely many generated samples (Chong and Forsyth 2020).

    The distance falls with n almost as a + b / n, so distances of different n cannot be compared. A line is fitted to
    the distances of subsets that are drawn without replacement; a is its value at 1 / n = 0. The result can be a
    little below 0. The bias that comes from the number of real pictures remains.

    Args:
        fake: features of the samples, (N, D).
        real: statistics of the real features.
        seed: of the subsets.

    Raises:
        ValueError: there are fewer samples than `min_extrapolation_samples`.
    """
    source = np.random.Generator(np.random.Philox(key=seed))
    n, feature_count = fake.shape
    minimum = min_extrapolation_samples(feature_count)
    if n < minimum:
        raise ValueError(f"an extrapolation with {feature_count} features needs {minimum} samples, not {n}")
    # The distance bends away from the line where there are less than about `minimum` samples; few samples are halved.
    sizes = np.linspace(max(n // 5, min(n // 2, minimum)), n, EXTRAPOLATION_POINTS).astype(int)
    distances = [
        frechet_distance(gaussian_statistics(fake[torch.from_numpy(source.permutation(n)[:size])]), real)
        for size in sizes.tolist()
    ]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def kernel_distance(fake: Tensor, real: Tensor, real_mean: float | None = None) -> float:
    """Return the kernel distance: the unbiased squared MMD with k(x, y) = (xᵀy / D + 1)³ (Bińkowski et al. 2018).

    It is the U-statistic of all pairs of both sets, whose sizes may differ: mean k(x, x') over different fakes + mean
    k(y, y') over different reals - 2 mean k(x, y) (Gretton et al. 2012). Its expectation does not depend on the sizes.
    For equal distributions it is 0 on average, so it can be a little below 0.

    Args:
        fake: (N, D), at least two.
        real: (M, D), at least two.
        real_mean: `mean_kernel(real)`, if it is known already.
    """
    real_double, blocks = real.double(), torch.split(fake, DISTANCE_ROWS)
    mixed_mean = sum(float(kernel_block(rows, real_double).sum()) for rows in blocks) / (len(fake) * len(real))
    return mean_kernel(fake) + (mean_kernel(real) if real_mean is None else real_mean) - 2 * mixed_mean


def mean_kernel(features: Tensor) -> float:
    """Return the mean of k(x, x') over all pairs of different rows of features (N, D)."""
    n = len(features)
    blocks = (kernel for _, kernel in own_kernel_blocks(features))
    return sum(float(k[:, : len(k)].sum() + 2 * k[:, len(k) :].sum()) for k in blocks) / (n * (n - 1))


def own_kernel_blocks(features: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Give the kernel of pairs of different rows of features (N, D), each pair once: it is symmetric.

    Yields:
        The first row of a block of rows, and the kernel of the block with the rows from there on, (rows, N - first).
        Its first square is of the block with itself: it has its pairs twice, and zeros on the diagonal.
    """
    features = features.double()
    for first in range(0, len(features), DISTANCE_ROWS):
        kernel = kernel_block(features[first : first + DISTANCE_ROWS], features[first:])
        yield first, kernel.fill_diagonal_(0)


def kernel_block(a: Tensor, b: Tensor) -> Tensor:
    """Return k of all pairs of rows of a (N, D) and b (M, D) in double precision, (N, M)."""
    one = torch.ones((), dtype=torch.float64)
    values = torch.addmm(one, a.double(), b.double().T, alpha=1 / a.shape[1])
    return (values * values).mul_(values)


def inception_score(scores: Tensor) -> float:
    """Return exp of the mean KL(p(class | picture) ‖ p(class)) (Salimans et al. 2016): 1 to the number of classes.

    It is torch-fidelity's mean over ten parts of the samples. It is called an Inception score only if Inception gave
    the class scores; with those of the judge it is the same formula.

    Args:
        scores: class scores before the softmax, (N, classes).
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric  # slow to import

    return float(isc_features_to_metric(scores)[KEY_METRIC_ISC_MEAN])


def precision_recall(
    fake: Tensor, real: Tensor, k: int = NEIGHBOR_K, real_radii: Tensor | None = None
) -> tuple[float, float]:
    """Return the share of fakes on the real manifold, and of reals on that of the fakes (Kynkäänniemi et al. 2019).

    The manifold of a set is the union of a ball around each of its points that reaches to the point's k-th nearest
    neighbor in the set.

    Args:
        fake: (N, D).
        real: (M, D).
        k: the neighbor that a ball reaches to.
        real_radii: `manifold_radii(real, k)`, if they are known already.
    """
    real_radii = manifold_radii(real, k) if real_radii is None else real_radii
    return _share_inside(fake, real, real_radii), _share_inside(real, fake, manifold_radii(fake, k))


def manifold_radii(features: Tensor, k: int = NEIGHBOR_K) -> Tensor:
    """Return the distance (N,) of each row of features (N, D) to its k-th nearest other row."""
    from torch_fidelity.metric_prc import calc_cdist_part  # slow to import

    # Each point is the nearest to itself, so its k-th neighbor is the (k + 1)-th nearest point.
    blocks = torch.split(features, DISTANCE_ROWS)
    return torch.cat([calc_cdist_part(rows, features, DISTANCE_ROWS).kthvalue(k + 1).values for rows in blocks])


def _share_inside(points: Tensor, centers: Tensor, radii: Tensor) -> float:
    """Return the share of points (N, D) that are in a ball around one of the centers (M, D)."""
    from torch_fidelity.metric_prc import calc_cdist_part  # slow to import

    is_inside = [
        (calc_cdist_part(rows, centers, DISTANCE_ROWS) <= radii).any(dim=1).float()
        for rows in torch.split(points, DISTANCE_ROWS)
    ]
    return torch.cat(is_inside).mean().item()


def density_coverage(
    fake: Tensor, real: Tensor, k: int = NEIGHBOR_K, real_radii: Tensor | None = None
) -> tuple[float, float]:
    """Return how many real balls a fake is in, over k, and the share of real balls that a fake is in.

    Single outliers change these less than precision and recall (Naeem et al. 2020). The density can be above 1.

    Args:
        fake: (N, D).
        real: (M, D).
        k: the neighbor that a ball reaches to.
        real_radii: `ball_radii(real, k)`, if they are known already.
    """
    real_radii = ball_radii(real, k) if real_radii is None else real_radii
    pair_count, covered_count = 0, 0
    for rows, radii in zip(torch.split(real, DISTANCE_ROWS), torch.split(real_radii, DISTANCE_ROWS), strict=True):
        is_inside = torch.cdist(rows, fake) < radii[:, None]  # (rows, N)
        pair_count += int(is_inside.sum())
        covered_count += int(is_inside.any(1).sum())
    return pair_count / (k * len(fake)), covered_count / len(real)


def ball_radii(features: Tensor, k: int = NEIGHBOR_K) -> Tensor:
    """Return the radii (N,) of `density_coverage`.

    They are those of `manifold_radii`, but rounded as the distances that they are compared with there: in blocks of
    another width.
    """
    blocks = torch.split(features, DISTANCE_ROWS)
    return torch.cat([torch.cdist(rows, features).topk(k + 1, dim=1, largest=False).values[:, -1] for rows in blocks])
