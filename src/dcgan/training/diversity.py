"""How much generated pictures differ from each other and from real ones, measured on shrunken pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PixelRows = npt.NDArray[np.float32]
"""Pictures as rows of pixels, (N, P)."""


Labels = npt.NDArray[np.int64] | None


MAX_REAL_PICTURES = 2048
"""Real pictures that the drawn ones are held against; of a smaller set all."""


QUERY_PICTURES = 64
"""Real pictures whose own distances are the measure for those of drawn ones."""


@dataclass(frozen=True)
class RealPictures:
    """Real pictures, and how far from each other they are.

    Attributes:
        rows: (R, P).
        spread: mean distance of two of them, of two of one class where there are labels.
        apart: median distance of one to the nearest other.
        is_all: they are the whole set, so that a copy of any of it is noticed.
    """

    rows: PixelRows
    spread: float
    apart: float
    is_all: bool


def describe_real_pictures(rows: PixelRows, labels: Labels, size: int) -> RealPictures:
    """Take the measure of real pictures, (R, P), out of a set of `size`."""
    few, few_labels = rows[: 4 * QUERY_PICTURES], None if labels is None else labels[: 4 * QUERY_PICTURES]
    between = pairwise_distances(rows[:QUERY_PICTURES], rows)
    between[np.arange(len(between)), np.arange(len(between))] = np.inf  # each one is its own nearest
    return RealPictures(rows, mean_distance(few, few_labels), float(np.median(between.min(axis=1))), len(rows) == size)


def measure_pictures(drawn: PixelRows, labels: Labels, real: RealPictures) -> dict[str, float]:
    """How the drawn pictures (N, P) differ from each other and from real ones.

    Returns:
        `diversity`: their mean distance from each other, as a share of the real ones'; of one class where there are
        labels. `nearness`: their median distance to the nearest real one, as a share of the real ones' to theirs.
    """
    nearest = float(np.median(pairwise_distances(drawn, real.rows).min(axis=1)))
    return {"diversity": _share(mean_distance(drawn, labels), real.spread), "nearness": _share(nearest, real.apart)}


def pairwise_distances(a: PixelRows, b: PixelRows) -> PixelRows:
    """Euclidean distances of the rows of `a` (N, P) to those of `b` (M, P): (N, M)."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    found: PixelRows = np.sqrt(np.maximum(squares, 0))
    return found


def mean_distance(rows: PixelRows, labels: Labels = None) -> float:
    """Mean distance of two of the rows, of two with one label where there are labels; 0 without such a pair."""
    pairs = np.triu(np.ones((len(rows), len(rows)), bool), 1)
    if labels is not None:
        pairs &= labels[:, None] == labels[None]
    return float(pairwise_distances(rows, rows)[pairs].mean()) if pairs.any() else 0.0


def _share(part: float, whole: float) -> float:
    """Rounded to what is worth reading; 0 where all real pictures are equal."""
    return round(part / whole, 4) if whole > 0 else 0.0
