"""Estimates of metrics, with intervals by the jackknife over pictures, or by Student's t over sets of samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch, which the report does not need
    from dcgan.metrics.jackknife import Jackknifed

CONFIDENCE = 0.95
"""The share of repetitions whose interval contains the true value."""
MIN_SEEDS, MAX_SEEDS = 5, 20
"""Independent sets of samples that the interval of an evaluation is computed from."""
STUDENT_T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
)  # fmt: skip
"""The 97.5% quantile of Student's t with 1, 2, …, 19 degrees of freedom."""
NORMAL_QUANTILE = 1.959964
"""The same of the normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one metric.

    Attributes:
        mean: the estimate.
        low: the lower end of its 95% interval.
        high: the upper end of its 95% interval.
        values: the values that the interval was computed from.
        real_against_real: the floor: the same metric with real pictures instead of the generated ones; None if there
            are too few real pictures.
        n_fake: the number of samples that each value is computed from; None if it is not known.
        n_real: the number of real pictures that the samples are compared with; 0 if there are none, None if it is not
            known.
        k: the neighbor that a metric of neighbors uses; None for other metrics.
        method: what the interval is computed from: `pictures` or `sets`.
        floor: the values that the floor is the mean of, and the numbers of pictures; None without a floor.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    real_against_real: float | None = None
    n_fake: int | None = None
    n_real: int | None = None
    k: int | None = None
    method: str = "sets"
    floor: "Floor | None" = None


@dataclass(frozen=True)
class Floor:
    """A metric of real pictures against other real pictures.

    Attributes:
        values: of each pair of sets.
        n: the number of pictures in the place of the samples.
        n_real: the number of pictures that they are compared with.
    """

    values: tuple[float, ...]
    n: int
    n_real: int

    @property
    def mean(self) -> float:
        """The mean over the pairs."""
        return math.fsum(self.values) / len(self.values)

    @property
    def spread(self) -> float | None:
        """The standard deviation over the pairs; None if there is only one."""
        if len(self.values) < 2:
            return None
        deviations = math.fsum((value - self.mean) ** 2 for value in self.values)
        return math.sqrt(deviations / (len(self.values) - 1))


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of 2 to 20 independent values, and half the width of its 95% interval by Student's t."""
    n = len(values)
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, STUDENT_T_QUANTILES[n - 2] * deviation / math.sqrt(n)


def estimate_metric(
    values: Sequence[float],
    overall: float | None = None,
    floor: float | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Return the estimate of a metric, with its interval over independent sets of samples.

    Args:
        values: the metric of each set, five to twenty.
        overall: the metric of all samples together, if the sets are disjoint parts of one set. It is then the
            estimate, because the mean of the parts has the bias of fewer samples. The interval keeps the width of the
            parts' mean, which is also that of all samples as long as the deviation falls with the root of the number.
        floor: the metric of real pictures, see `Estimate.real_against_real`.
        limits: the least and the largest value that the metric can have. The interval is cut off there: the true value
            is not beyond them, so the interval contains it as often as before. An estimate that is beyond them is not
            changed, and the interval reaches to it.

    Raises:
        ValueError: there are fewer than five or more than twenty values.
    """
    if not MIN_SEEDS <= len(values) <= MAX_SEEDS:
        raise ValueError(f"an interval is computed from {MIN_SEEDS} to {MAX_SEEDS} sets, not {len(values)}")
    mean, half_width = mean_and_half_width(values)
    center = mean if overall is None else overall
    low, high = interval_ends(center, half_width, limits)
    return Estimate(center, low, high, tuple(values), floor)


def interval_ends(center: float, half_width: float, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the two ends of an interval that is cut off at the limits of a metric; it always contains its center."""
    low, high = limits
    return min(center, max(low, center - half_width)), max(center, min(high, center + half_width))


def jackknife_estimate(
    sets: "Sequence[Jackknifed]",
    n_fake: int,
    n_real: int,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Return the estimate of a metric, with its interval by the jackknife over the pictures of both sides.

    The interval is about other samples and about other real pictures, so it also holds if these are few.

    Args:
        sets: the metric of independent sets of samples that are compared with the same real pictures.
        n_fake: the number of samples in a set.
        n_real: the number of real pictures.
        limits: see `estimate_metric`.
    """
    from dcgan.metrics.jackknife import mean_and_standard_error  # imports torch

    mean, standard_error = mean_and_standard_error(sets)
    low, high = interval_ends(mean, student_t_quantile(min(n_fake, n_real) - 1) * standard_error, limits)
    share_of, is_share = sets[0].share_of, limits == (0.0, 1.0)
    if share_of is not None and (is_share or mean == 0):
        # A share near 0 or 1 hardly changes with any picture, and nevertheless others would give another share. A
        # density can exceed 1 and is no share, but one of 0 says that no sample counts.
        binomial_low, binomial_high = wilson_interval(mean * share_of, share_of)
        low, high = min(low, binomial_low), max(high, binomial_high)
    return Estimate(mean, low, high, tuple(s.value for s in sets), n_fake=n_fake, n_real=n_real, method="pictures")


def wilson_interval(count: float, n: int) -> tuple[float, float]:
    """Return the 95% interval of a binomial share (Wilson 1927)."""
    z2, share = NORMAL_QUANTILE**2, count / n
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    variance = max(0.0, share * (1 - share)) / n + z2 / (4 * n * n)
    half_width = NORMAL_QUANTILE / (1 + z2 / n) * math.sqrt(variance)
    return max(0.0, center - half_width), min(1.0, center + half_width)


def student_t_quantile(degrees: int) -> float:
    """Return the 97.5% quantile of Student's t; from 20 degrees of freedom on by its expansion, right to 0.001."""
    if degrees <= len(STUDENT_T_QUANTILES):
        return STUDENT_T_QUANTILES[max(1, degrees) - 1]
    z = NORMAL_QUANTILE
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def with_floor(estimate: Estimate, floor: Floor | None) -> Estimate:
    """Return an estimate with its floor."""
    return estimate if floor is None else replace(estimate, real_against_real=floor.mean, floor=floor)
