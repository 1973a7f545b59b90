"""What few seeds can tell: intervals over trainings, and how often chance alone makes such a difference."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dcgan.metrics.results import STUDENT_QUANTILES, format_number

QUANTILE = (12.706, 4.303, 3.182, *STUDENT_QUANTILES)
"""The 97.5% quantile of Student's t with 1, 2, 3, … degrees of freedom."""
LEVEL = 0.05


@dataclass(frozen=True)
class SeedSpread:
    """A figure over trainings with different seeds: the mean, its 95% interval (none from one seed), each of them."""

    mean: float
    low: float | None
    high: float | None
    each: tuple[float, ...]


def spread_over_seeds(each: Sequence[float]) -> SeedSpread:
    """The mean over seeds, with the interval of Student's t."""
    mean = math.fsum(each) / len(each)
    if len(each) == 1:
        return SeedSpread(mean, None, None, tuple(each))
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in each) / (len(each) - 1))
    half = QUANTILE[len(each) - 2] * deviation / math.sqrt(len(each))
    return SeedSpread(mean, mean - half, mean + half, tuple(each))


def permutation_test(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The exact two-sided permutation test of the difference of means (Fisher 1935).

    If the recipes were alike, every way to deal all figures out into two such groups would be as likely. The p is the
    share of ways that set the means at least as far apart as they are.

    Returns:
        p, and the least p that so many figures can give.
    """
    everything, size = [*a, *b], len(a)
    total = math.fsum(everything)
    middle = total * size / len(everything)

    def apart(group: Sequence[float]) -> float:
        return abs(math.fsum(group) - middle)

    least_apart = apart(a) * (1 - 1e-12)
    ways = [apart(group) >= least_apart for group in itertools.combinations(everything, size)]
    is_mirrored = len(a) == len(b)  # every way has its mirror image, as far apart
    return sum(ways) / len(ways), (2 if is_mirrored else 1) / len(ways)


@dataclass(frozen=True)
class Verdict:
    """Whether two presets can be told apart by a metric, by which statistic."""

    better: str | None
    worse: str | None
    p: float
    text: str


def compare_presets(title: str, name_a: str, a: Sequence[float], name_b: str, b: Sequence[float]) -> Verdict:
    """Hold two presets against each other in a metric of which less is better."""
    p, least = permutation_test(a, b)
    mean_a, mean_b = (math.fsum(values) / len(values) for values in (a, b))
    figures = f"{title} {format_number(mean_a)} against {format_number(mean_b)}"
    test = f"exact permutation test, {len(a)} and {len(b)} seeds"
    if least > LEVEL:
        why = f"even the clearest difference would have p = {least:.2g} ({test}); more seeds are needed"
        return Verdict(None, None, p, f"cannot tell {name_a} from {name_b}: {figures}, but {why}")
    if p > LEVEL:
        return Verdict(None, None, p, f"cannot tell {name_a} from {name_b}: {figures}, p = {p:.2g} ({test})")
    better, worse = (name_a, name_b) if mean_a < mean_b else (name_b, name_a)
    return Verdict(better, worse, p, f"{better} is better than {worse}: {figures}, p = {p:.2g} ({test})")
