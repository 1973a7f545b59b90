"""Estimates of metrics, with intervals by Student's t."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
"""The share of repetitions whose interval contains the true value."""
MIN_SEEDS, MAX_SEEDS = 5, 20
"""Independent sets of samples that the interval of an evaluation is computed from."""
STUDENT_T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
)  # fmt: skip
"""The 97.5% quantile of Student's t with 1, 2, …, 19 degrees of freedom."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one metric.

    Attributes:
        mean: the estimate.
        low: the lower end of its 95% interval.
        high: the upper end of its 95% interval.
        values: the values that the interval was computed from.
        real_against_real: the floor: the same metric with as many real pictures instead of the generated ones; None if
            there are too few real pictures.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    real_against_real: float | None = None


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
