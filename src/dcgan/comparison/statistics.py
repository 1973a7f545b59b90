"""What a few seeds can show: intervals over trainings, and how often chance alone makes such a difference."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dcgan.metrics.intervals import interval_ends, mean_and_half_width
from dcgan.metrics.results import format_number

SIGNIFICANCE_LEVEL = 0.05
ROUNDING_SLACK = 1e-12
"""Two differences of means that are closer than this, relative to their size, count as equal."""


@dataclass(frozen=True)
class SeedSpread:
    """A metric over trainings with different seeds.

    Attributes:
        mean: over the seeds.
        low: the lower end of its 95% interval; None for one seed.
        high: the upper end of the interval; None for one seed.
        values: the metric of each seed.
    """

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the spread as JSON types."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "each": list(self.values)}


def spread_over_seeds(values: Sequence[float], limits: tuple[float, float] = (-math.inf, math.inf)) -> SeedSpread:
    """Return the mean over seeds, with its 95% interval by Student's t.

    Args:
        values: the metric of each seed.
        limits: the least and the largest value that the metric can have; the interval is cut off there.
    """
    if len(values) == 1:
        return SeedSpread(float(values[0]), None, None, tuple(values))
    mean, half_width = mean_and_half_width(values)
    return SeedSpread(mean, *interval_ends(mean, half_width, limits), tuple(values))


def permutation_test(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Compare two means by the exact two-sided permutation test (Fisher 1935).

    If the presets do not differ, every way to divide all values into two groups of these sizes is equally likely. p is
    the share of the ways in which the means differ at least as much as they do.

    Returns:
        p, and the least p that so many values can give.
    """
    values, size = [*a, *b], len(a)
    expected_sum = math.fsum(values) * size / len(values)

    def difference(group: Sequence[float]) -> float:
        return abs(math.fsum(group) - expected_sum)

    threshold = difference(a) * (1 - ROUNDING_SLACK)
    is_extreme = [difference(group) >= threshold for group in itertools.combinations(values, size)]
    has_mirror_images = len(a) == len(b)  # exchanging the groups of one way gives another, with the same difference
    return sum(is_extreme) / len(is_extreme), (2 if has_mirror_images else 1) / len(is_extreme)


@dataclass(frozen=True)
class Verdict:
    """Whether two presets differ in a metric.

    Attributes:
        better: the name of the better preset, or None if they cannot be told apart.
        worse: the name of the other one, or None.
        p: of the permutation test.
        text: the verdict in words, with the statistic.
    """

    better: str | None
    worse: str | None
    p: float
    text: str


def compare_presets(title: str, name_a: str, a: Sequence[float], name_b: str, b: Sequence[float]) -> Verdict:
    """Return whether two presets differ in a metric whose lower values are better.

    Args:
        title: the metric's title.
        name_a: the name of the first preset.
        a: its metric for each seed.
        name_b: the name of the second preset.
        b: its metric for each seed.
    """
    p, least_p = permutation_test(a, b)
    mean_a, mean_b = (math.fsum(values) / len(values) for values in (a, b))
    means = f"{title} {format_number(mean_a)} against {format_number(mean_b)}"
    test = f"exact permutation test, {len(a)} and {len(b)} seeds"
    if least_p > SIGNIFICANCE_LEVEL:
        reason = f"even the clearest difference would have p = {least_p:.2g} ({test}); more seeds are needed"
        return Verdict(None, None, p, f"cannot tell {name_a} from {name_b}: {means}, but {reason}")
    if p > SIGNIFICANCE_LEVEL:
        return Verdict(None, None, p, f"cannot tell {name_a} from {name_b}: {means}, p = {p:.2g} ({test})")
    better, worse = (name_a, name_b) if mean_a < mean_b else (name_b, name_a)
    return Verdict(better, worse, p, f"{better} is better than {worse}: {means}, p = {p:.2g} ({test})")
