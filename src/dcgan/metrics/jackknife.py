"""Metrics together with what they would be without each single picture, from which their intervals are computed.

The jackknife (Tukey 1958) needs no sets of samples: how much a metric changes when one picture is left out says how
much it varies when other pictures are drawn, the generated ones and the real ones. A bootstrap would draw pictures
twice, and a picture that is there twice is its own nearest neighbor.

Each metric's value is that of the function of the same name in `fidelity`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan.metrics import fidelity
from dcgan.metrics.fidelity import DISTANCE_ROWS, GaussianStatistics, kernel_block, own_kernel_blocks

MIN_PICTURES = 3
"""Pictures on each side below which leaving one out leaves nothing to compare."""
NEIGHBOR_OVERESTIMATE = 1.5
"""The jackknife's variance of a metric of neighbors is about twice the true one (1.4 to 2.6 times on digits, see
`docs/evaluation.md`): a picture that is left out changes more than one that is exchanged. It is divided by this."""
KERNEL_EXCESS_SHARE = 0.5
"""The part of what the jackknife counts twice that is taken off the variance of a kernel distance. With all of it the
interval has the width of the spread, but contains the true value too rarely, in 82% to 94% of draws: near 0 the
distance is skewed."""
MIN_EIGENVALUE_SHARE = 1e-10
"""Eigenvalues of a covariance below this share of the largest count as zero."""


@dataclass(frozen=True)
class Jackknifed:
    """A metric, and how it changes when a picture is left out.

    Attributes:
        value: the metric of all pictures.
        without_fake: the change when each generated picture is left out, float64 (N,).
        without_real: the change when each real picture is left out, float64 (M,).
        fake_excess: what the jackknife's variance of `without_fake` is too large by.
        real_excess: the same of `without_real`.
        overestimate: what both variances are divided by.
        share_of: the number of pictures that the metric is a share of, or a mean over that is 0 if none of them counts;
            None if it is neither.
    """

    value: float
    without_fake: Tensor
    without_real: Tensor
    fake_excess: float = 0.0
    real_excess: float = 0.0
    overestimate: float = 1.0
    share_of: int | None = None


@dataclass(frozen=True)
class Neighborhoods:
    """The balls of points around which a metric of neighbors is computed.

    Attributes:
        radii: distance to the k-th nearest other point, (N,).
        wider_radii: distance to the (k + 1)-th, which becomes the radius when one of the k is left out, (N,).
        neighbors: rows of the k + 1 nearest points, int64 (N, k + 1). The point itself is one of them, unless more
            than k others are equal to it: such a ball does not grow without one of them.
    """

    radii: Tensor
    wider_radii: Tensor
    neighbors: Tensor


def mean_and_standard_error(sets: Sequence[Jackknifed]) -> tuple[float, float]:
    """Return the mean of a metric of independent sets of samples that are compared with the same real pictures.

    The standard error is that of drawing other samples and other real pictures.
    """
    count, first = len(sets), sets[0]
    fake_variance = sum(max(0.0, _variance(s.without_fake) - s.fake_excess) for s in sets) / count**2
    real_variance = max(0.0, _variance(torch.stack([s.without_real for s in sets]).mean(0)) - first.real_excess)
    mean = math.fsum(s.value for s in sets) / count
    return mean, math.sqrt((fake_variance + real_variance) / first.overestimate)


def _variance(changes: Tensor) -> float:
    n = len(changes)
    return float((changes - changes.mean()).square().sum()) * (n - 1) / n


@dataclass(frozen=True)
class KernelSums:
    """Sums of the kernel of all pairs of different rows of features (N, D).

    Attributes:
        rows: the sum of each row, float64 (N,).
        squares: the sum of the squares of all pairs.
    """

    rows: Tensor
    squares: float


def kernel_sums(features: Tensor) -> KernelSums:
    """Return the sums of `fidelity.kernel_distance`'s kernel of each row with all other rows."""
    sums, squares = torch.zeros(len(features), dtype=torch.float64), 0.0
    for first, kernel in own_kernel_blocks(features):
        own, later = kernel.tensor_split([len(kernel)], dim=1)
        sums[first:] += torch.cat([own.sum(1) + later.sum(1), later.sum(0)])
        squares += float(own.square().sum() + 2 * later.square().sum())
    return KernelSums(sums, squares)


def kernel_distance(fake: Tensor, real: Tensor, real_sums: KernelSums | None = None) -> Jackknifed:
    """Return the kernel distance of all pairs.

    The jackknife counts the part of the variance that belongs to pairs twice. It is nearly all there is if both sets
    have one distribution. It is known from the squares of the centered kernel, and half of it becomes the excess.

    Args:
        fake: (N, D), at least `MIN_PICTURES`.
        real: (M, D), at least `MIN_PICTURES`.
        real_sums: `kernel_sums(real)`, if they are known already.
    """
    n, m = len(fake), len(real)
    fake_sums, real_sums = kernel_sums(fake), kernel_sums(real) if real_sums is None else real_sums
    mixed_fake, mixed_real, mixed_squares = _sum_kernel(fake, real)
    fake_total, real_total, mixed_total = fake_sums.rows.sum(), real_sums.rows.sum(), mixed_fake.sum()
    fake_mean, real_mean = fake_total / (n * (n - 1)), real_total / (m * (m - 1))
    value = fake_mean + real_mean - 2 * mixed_total / (n * m)
    without_fake = (fake_total - 2 * fake_sums.rows) / ((n - 1) * (n - 2)) - fake_mean
    without_fake -= 2 * ((mixed_total - mixed_fake) / ((n - 1) * m) - mixed_total / (n * m))
    without_real = (real_total - 2 * real_sums.rows) / ((m - 1) * (m - 2)) - real_mean
    without_real -= 2 * ((mixed_total - mixed_real) / (n * (m - 1)) - mixed_total / (n * m))
    mixed = mixed_squares / (n * m) - _mean_square(mixed_fake / m) - _mean_square(mixed_real / n)
    mixed = max(0.0, mixed + float(mixed_total / (n * m)) ** 2)
    return Jackknifed(
        float(value),
        without_fake,
        without_real,
        fake_excess=KERNEL_EXCESS_SHARE * (_pair_variance(fake_sums) + 4 * mixed / (n * m)),
        real_excess=KERNEL_EXCESS_SHARE * _pair_variance(real_sums),
    )


def _pair_variance(sums: KernelSums) -> float:
    """Return the variance of the mean kernel that comes from pairs: two over the pairs, times the centered squares."""
    n = len(sums.rows)
    means = sums.rows / (n - 1)
    centered = sums.squares / (n * (n - 1)) - 2 * _mean_square(means) + float(means.mean()) ** 2
    return 2 * max(0.0, centered) / (n * (n - 1))


def _mean_square(values: Tensor) -> float:
    return float(values.square().mean())


def _sum_kernel(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the kernel's sums over rows (N,) and over columns (M,) of all pairs, and the sum of its squares."""
    b = b.double()
    row_sums, column_sums, squares = [], torch.zeros(len(b), dtype=torch.float64), 0.0
    for rows in torch.split(a, DISTANCE_ROWS):
        kernel = kernel_block(rows, b)
        row_sums.append(kernel.sum(1))
        column_sums += kernel.sum(0)
        squares += float(kernel.square().sum())
    return torch.cat(row_sums), column_sums, squares


def frechet_distance(
    fake: Tensor, real: Tensor, fake_statistics: GaussianStatistics, real_statistics: GaussianStatistics
) -> Jackknifed:
    """Return the Fréchet distance of features (N, D) and (M, D), with its changes to first order.

    With T, the linear map from the fake Gaussian to the real one, a fake x at z = x - μ adds
    2 (μ - m)ᵀz + zᵀ(I - T)z - tr((I - T)Σ) to the distance; a real picture the same with the inverse of T.
    """
    value = fidelity.frechet_distance(fake_statistics, real_statistics)
    difference = torch.from_numpy(fake_statistics.mean - real_statistics.mean)
    changes = [
        _first_order_changes(features, own, other, sign * difference)
        for features, own, other, sign in (
            (fake, fake_statistics, real_statistics, 1),
            (real, real_statistics, fake_statistics, -1),
        )
    ]
    return Jackknifed(value, changes[0], changes[1])


def _first_order_changes(
    features: Tensor, own: GaussianStatistics, other: GaussianStatistics, difference: Tensor
) -> Tensor:
    covariance, other_covariance = torch.from_numpy(own.covariance), torch.from_numpy(other.covariance)
    root, inverse_root = _roots(covariance)
    transport = inverse_root @ _roots(root @ other_covariance @ root)[0] @ inverse_root
    weights = torch.eye(len(covariance), dtype=torch.float64) - transport
    centered = features.double() - torch.from_numpy(own.mean)
    influence = 2 * centered @ difference + ((centered @ weights) * centered).sum(1)
    return -(influence - influence.mean()) / (len(features) - 1)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the square root of a symmetric matrix without negative eigenvalues, and its pseudo-inverse."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    is_positive = values > MIN_EIGENVALUE_SHARE * values[-1].clamp_min(1e-300)
    roots = values.clamp_min(0).sqrt()
    inverse = torch.where(is_positive, 1 / roots.clamp_min(1e-300), 0.0)
    return (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T


def neighborhoods(features: Tensor, k: int) -> Neighborhoods:
    """Return the balls of `fidelity.precision_recall` around features (N, D); `k` is at most N - 1."""
    from torch_fidelity.metric_prc import calc_cdist_part  # slow to import

    blocks = [
        calc_cdist_part(rows, features, DISTANCE_ROWS).topk(min(k + 2, len(features)), dim=1, largest=False)
        for rows in torch.split(features, DISTANCE_ROWS)
    ]
    return _as_neighborhoods(blocks, k)


def density_neighborhoods(features: Tensor, k: int) -> Neighborhoods:
    """Return the same balls, rounded as `fidelity.ball_radii`."""
    blocks = [
        torch.cdist(rows, features).topk(min(k + 2, len(features)), dim=1, largest=False)
        for rows in torch.split(features, DISTANCE_ROWS)
    ]
    return _as_neighborhoods(blocks, k)


def _as_neighborhoods(blocks: Sequence[tuple[Tensor, Tensor]], k: int) -> Neighborhoods:
    distances, indices = torch.cat([block[0] for block in blocks]), torch.cat([block[1] for block in blocks])
    wider = distances[:, k + 1] if distances.shape[1] > k + 1 else torch.full((len(distances),), torch.inf)
    return Neighborhoods(distances[:, k], wider, indices[:, : k + 1])


def share_inside(points: Tensor, centers: Tensor, balls: Neighborhoods) -> tuple[float, Tensor, Tensor]:
    """Return the share of points (N, D) in a ball around one of the centers (M, D).

    Precision is the share of the fakes around real pictures, recall that of the real pictures around fakes.

    Returns:
        The share, and its changes without each point (N,) and without each center (M,), float64.
    """
    from torch_fidelity.metric_prc import calc_cdist_part  # slow to import

    n, m = len(points), len(centers)
    is_inside, gained = [], torch.zeros(m, dtype=torch.float64)
    for rows in torch.split(points, DISTANCE_ROWS):
        distances = calc_cdist_part(rows, centers, DISTANCE_ROWS)
        inside = distances <= balls.radii
        counts = inside.sum(1)
        is_inside.append(counts > 0)
        gained += _gained_without_center(inside, (distances <= balls.wider_radii) & ~inside, counts, balls)
    inside_points = torch.cat(is_inside).double()
    share = float(inside_points.mean())
    without_point = (inside_points.sum() - inside_points) / (n - 1) - share
    return share, without_point, gained / n


def _gained_without_center(inside: Tensor, almost: Tensor, counts: Tensor, balls: Neighborhoods) -> Tensor:
    """Return how many points of a block come into a ball, less those that leave all balls, without each center (M,).

    Without a center its own ball is gone, and the balls whose k neighbors it is one of grow to the next neighbor.

    Args:
        inside: whether each point is in each ball, bool (rows, M).
        almost: whether it is only in the ball as it grows, bool (rows, M).
        counts: in how many balls each point is, (rows,).
        balls: the balls.
    """
    m = inside.shape[1]
    gained = torch.zeros(m, dtype=torch.float64)
    few = torch.nonzero(counts <= 1)[:, 0]
    point, ball = torch.nonzero(almost[few], as_tuple=True)
    # (point, center) so that the point is in a ball that grows without the center
    pairs = torch.stack([point.repeat_interleave(balls.neighbors.shape[1]), balls.neighbors[ball].flatten()], 1)
    pairs = torch.unique(pairs[pairs[:, 1] != ball.repeat_interleave(balls.neighbors.shape[1])], dim=0)
    is_outside = counts[few] == 0
    gained.index_add_(0, pairs[:, 1], is_outside[pairs[:, 0]].double())
    only_ball = torch.where(is_outside, -1, inside[few].int().argmax(1))
    gained.index_add_(0, only_ball[only_ball >= 0], -torch.ones(int((only_ball >= 0).sum()), dtype=torch.float64))
    kept = only_ball[pairs[:, 0]] == pairs[:, 1]  # the point stays inside, because another ball grows
    return gained.index_add_(0, pairs[kept, 1], torch.ones(int(kept.sum()), dtype=torch.float64))


def precision_recall(
    fake: Tensor, real: Tensor, k: int, real_balls: Neighborhoods | None = None
) -> tuple[Jackknifed, Jackknifed]:
    """Return precision and recall of features (N, D) and (M, D)."""
    real_balls = neighborhoods(real, k) if real_balls is None else real_balls
    precision, without_fake, without_real = share_inside(fake, real, real_balls)
    recall, recall_without_real, recall_without_fake = share_inside(real, fake, neighborhoods(fake, k))
    return (
        Jackknifed(precision, without_fake, without_real, overestimate=NEIGHBOR_OVERESTIMATE, share_of=len(fake)),
        Jackknifed(
            *(recall, recall_without_fake, recall_without_real), overestimate=NEIGHBOR_OVERESTIMATE, share_of=len(real)
        ),
    )


def density_coverage(
    fake: Tensor, real: Tensor, k: int, real_balls: Neighborhoods | None = None
) -> tuple[Jackknifed, Jackknifed]:
    """Return density and coverage of features (N, D) and (M, D)."""
    balls = density_neighborhoods(real, k) if real_balls is None else real_balls
    n, m = len(fake), len(real)
    counts, wider_counts, nearest = [], [], []
    balls_of_fake = torch.zeros(n, dtype=torch.float64)
    for rows, radii, wider in zip(
        torch.split(real, DISTANCE_ROWS),
        torch.split(balls.radii, DISTANCE_ROWS),
        torch.split(balls.wider_radii, DISTANCE_ROWS),
        strict=True,
    ):
        distances = torch.cdist(rows, fake)
        inside = distances < radii[:, None]
        counts.append(inside.sum(1).double())
        wider_counts.append((distances < wider[:, None]).sum(1).double())
        balls_of_fake += inside.sum(0)
        nearest.append(distances.argmin(1))
    count, grown, first = torch.cat(counts), torch.cat(wider_counts) - torch.cat(counts), torch.cat(nearest)
    covered = (count > 0).double()
    # What changes without a real picture: its own ball, and the balls that grow because it is one of their neighbors.
    density_gain = _add_to_neighbors(grown, balls) - count
    coverage_gain = _add_to_neighbors(((count == 0) & (grown > 0)).double(), balls) - covered
    lost = torch.zeros(n, dtype=torch.float64).index_add_(0, first, (count == 1).double())
    total, covered_count = float(count.sum()), float(covered.sum())
    density, coverage = total / (k * n), covered_count / m
    density_without_fake = (total - balls_of_fake) / (k * (n - 1)) - density
    coverage_without_real = (covered_count + coverage_gain) / (m - 1) - coverage
    return (
        Jackknifed(
            *(density, density_without_fake, density_gain / (k * n)), overestimate=NEIGHBOR_OVERESTIMATE, share_of=n
        ),
        Jackknifed(coverage, -lost / m, coverage_without_real, overestimate=NEIGHBOR_OVERESTIMATE, share_of=m),
    )


def _add_to_neighbors(values: Tensor, balls: Neighborhoods) -> Tensor:
    """Return the sum of the values of all balls that each point is a neighbor in, except its own, (M,)."""
    size = balls.neighbors.shape[1]
    own = torch.arange(len(values)).repeat_interleave(size)
    neighbors, repeated = balls.neighbors.flatten(), values.repeat_interleave(size)
    return torch.zeros_like(values).index_add_(0, neighbors, torch.where(neighbors == own, 0.0, repeated))
