"""Is this GAN healthy? Measures of what it draws, and names for what goes wrong, from the run's log alone.

What each diagnosis means, where its threshold comes from and how late it is: docs/health.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
"""Pictures as rows of pixels, (N, P)."""
Labels = npt.NDArray[np.int64] | None
REFERENCE = 2048
"""Real pictures that the drawn ones are held against; of a smaller set all."""
QUERIES = 64
"""Real pictures whose own distances are the measure for those of drawn ones."""


@dataclass(frozen=True)
class Compared:
    """Real pictures, and how far from each other they are.

    Attributes:
        rows: (R, P).
        spread: mean distance of two of them, of two of one class where there are labels.
        apart: median distance of one to the nearest other.
        is_all: they are the whole set, so that a copy of any of it is noticed.
    """

    rows: Rows
    spread: float
    apart: float
    is_all: bool


def compared(rows: Rows, labels: Labels, size: int) -> Compared:
    """Take the measure of real pictures, (R, P), out of a set of `size`."""
    few, few_labels = rows[: 4 * QUERIES], None if labels is None else labels[: 4 * QUERIES]
    between = distances(rows[:QUERIES], rows)
    between[np.arange(len(between)), np.arange(len(between))] = np.inf  # each one is its own nearest
    return Compared(rows, spread(few, few_labels), float(np.median(between.min(axis=1))), len(rows) == size)


def measure(drawn: Rows, labels: Labels, real: Compared) -> dict[str, float]:
    """How the drawn pictures (N, P) differ from each other and from real ones.

    Returns:
        `diversity`: their mean distance from each other, as a share of the real ones'; of one class where there are
        labels. `nearness`: their median distance to the nearest real one, as a share of the real ones' to theirs.
    """
    nearest = float(np.median(distances(drawn, real.rows).min(axis=1)))
    return {"diversity": _share(spread(drawn, labels), real.spread), "nearness": _share(nearest, real.apart)}


def distances(a: Rows, b: Rows) -> Rows:
    """Euclidean distances of the rows of `a` (N, P) to those of `b` (M, P): (N, M)."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    found: Rows = np.sqrt(np.maximum(squares, 0))
    return found


def spread(rows: Rows, labels: Labels = None) -> float:
    """Mean distance of two of the rows, of two with one label where there are labels; 0 without such a pair."""
    pairs = np.triu(np.ones((len(rows), len(rows)), bool), 1)
    if labels is not None:
        pairs &= labels[:, None] == labels[None]
    return float(distances(rows, rows)[pairs].mean()) if pairs.any() else 0.0


def _share(part: float, whole: float) -> float:
    """Rounded to what is worth reading; 0 where all real pictures are equal."""
    return round(part / whole, 4) if whole > 0 else 0.0
