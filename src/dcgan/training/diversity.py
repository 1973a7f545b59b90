"""How much generated pictures differ from each other and from real ones, measured on shrunken pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PixelRows = npt.NDArray[np.float32]
"""Pictures as rows of pixels, (N, P)."""
Labels = npt.NDArray[np.int64] | None
MAX_REAL_PICTURES = 2048
"""Real pictures that generated ones are compared with at most."""
QUERY_PICTURES = 64
"""Real pictures whose distances to the others are the unit for the distances of generated ones."""
TWIN_SHARE = 1e-3
"""Pictures whose distance is less than this share of the mean distance are the same picture: rounding leaves that."""
SPREAD_PICTURES = 4 * QUERY_PICTURES
"""Real pictures whose mean distance from each other is the unit for that of generated ones."""


@dataclass(frozen=True)
class RealPictures:
    """Real pictures, and how far they are from each other.

    Attributes:
        rows: (R, P).
        mean_distance: mean distance of two of them; of two with the same label if there are labels.
        nearest_distance: median distance of one to the nearest other one that is not the same picture again.
        is_all: whether they are the whole training set, so that a copy of any picture is noticed.
    """

    rows: PixelRows
    mean_distance: float
    nearest_distance: float
    is_all: bool


def describe_real_pictures(rows: PixelRows, labels: Labels, set_size: int) -> RealPictures:
    """Measure real pictures, (R, P), of a set of `set_size` pictures."""
    spread = mean_distance(rows[:SPREAD_PICTURES], None if labels is None else labels[:SPREAD_PICTURES])
    distances = pairwise_distances(rows[:QUERY_PICTURES], rows)
    own = np.arange(len(distances))
    distances[own, own] = np.inf  # otherwise each picture is its own nearest one
    distances[distances < TWIN_SHARE * spread] = np.inf  # and a picture that is there twice would have no distance
    nearest = distances.min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    nearest_distance = float(np.median(nearest)) if len(nearest) else 0.0
    return RealPictures(rows, spread, nearest_distance, len(rows) == set_size)


def measure_pictures(rows: PixelRows, labels: Labels, reals: RealPictures) -> dict[str, float]:
    """Measure how generated pictures (N, P) differ from each other and from real ones.

    Returns:
        `diversity`: their mean distance from each other as a fraction of the real pictures'; of pictures with the same
        label if there are labels. `nearness`: their median distance to the nearest real picture as a fraction of the
        real pictures' own.
    """
    nearest = float(np.median(pairwise_distances(rows, reals.rows).min(axis=1)))
    return {
        "diversity": _fraction(mean_distance(rows, labels), reals.mean_distance),
        "nearness": _fraction(nearest, reals.nearest_distance),
    }


def pairwise_distances(a: PixelRows, b: PixelRows) -> PixelRows:
    """Return the Euclidean distances of the rows of `a` (N, P) to those of `b` (M, P): (N, M)."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    distances: PixelRows = np.sqrt(np.maximum(squares, 0))
    return distances


def mean_distance(rows: PixelRows, labels: Labels = None) -> float:
    """Return the mean distance of two rows, or of two with the same label; 0 if there is no such pair."""
    is_pair = np.triu(np.ones((len(rows), len(rows)), bool), 1)
    if labels is not None:
        is_pair &= labels[:, None] == labels[None]
    return float(pairwise_distances(rows, rows)[is_pair].mean()) if is_pair.any() else 0.0


def _fraction(value: float, unit: float) -> float:
    """Return value / unit with four decimals; 0 if all real pictures are equal."""
    return round(value / unit, 4) if unit > 0 else 0.0
