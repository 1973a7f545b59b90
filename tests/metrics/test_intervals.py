import math

import numpy as np
import pytest
import torch

from dcgan.metrics import fidelity
from dcgan.metrics.intervals import STUDENT_T_QUANTILES, Estimate, estimate_metric, mean_and_half_width
from dcgan.metrics.limits import metric_limits
from dcgan.metrics.results import METRIC_TITLES


def test_an_interval_is_that_of_student_s_t():
    estimate = estimate_metric([1, 2, 3, 4, 5])
    assert estimate.mean == 3
    # the standard deviation is sqrt(2.5), the quantile of t with 4 degrees of freedom is 2.776
    assert estimate.high - estimate.mean == pytest.approx(2.776 * 2.5**0.5 / 5**0.5)
    assert estimate.low == pytest.approx(2 * estimate.mean - estimate.high)
    assert estimate.values == (1, 2, 3, 4, 5)


def test_all_samples_give_the_estimate_and_their_parts_the_width():
    parts, overall = estimate_metric([1, 2, 3, 4, 5]), estimate_metric([1, 2, 3, 4, 5], overall=2.0, floor=0.5)
    assert (overall.mean, overall.real_against_real) == (2, 0.5)
    assert overall.high - overall.low == pytest.approx(parts.high - parts.low)


def test_an_interval_ends_where_the_metric_does():
    near_one = estimate_metric([0.9, 1.0, 1.0, 1.0, 0.9], limits=(0, 1))
    assert (near_one.mean, near_one.high) == (pytest.approx(0.96), 1)
    assert near_one.low == pytest.approx(0.96 - 2.776 * 0.0547723 / 5**0.5, rel=1e-5)
    near_zero = estimate_metric([0.0, 0.0, 0.0, 0.0, 0.1], limits=(0, 1))
    assert (near_zero.low, near_zero.mean) == (0, pytest.approx(0.02))
    assert near_zero.high > 0.02


def test_an_estimate_beyond_the_limits_is_not_changed():
    """An extrapolated distance can be a little below 0."""
    estimate = estimate_metric([-0.01, -0.02, -0.01, 0.0, -0.01], limits=(0, math.inf))
    assert estimate.low == estimate.mean == pytest.approx(-0.01)
    assert estimate.high == pytest.approx(-0.01 + 2.776 * 0.00707107 / 5**0.5, abs=1e-6)


def test_the_limits_of_the_metrics():
    for name in METRIC_TITLES:
        low, high = metric_limits(name, 10)
        assert low < high
        assert (low == -math.inf) == (name == "kernel_inception_distance_mean")
    assert metric_limits("coverage", 10) == (0, 1)
    assert metric_limits("inception_score_mean", 10) == (1, 10)
    assert metric_limits("class_entropy", 10) == (0, math.log(10))
    assert metric_limits("modes_covered", 30) == (0, 1000)
    assert metric_limits("class_entropy") == (0, math.inf)
    assert metric_limits("loss_d") == (-math.inf, math.inf)


@pytest.mark.parametrize("true_share", [0.5, 0.97, 0.995])
def test_intervals_of_shares_stay_inside_and_cover_as_often_as_before(true_share: float):
    source, covered_counts = np.random.default_rng(0), [0, 0]
    for _ in range(300):
        shares = (source.binomial(200, true_share, 5) / 200).tolist()
        cut_off, plain = estimate_metric(shares, limits=(0, 1)), estimate_metric(shares)
        assert 0 <= cut_off.low <= cut_off.mean == plain.mean <= cut_off.high <= 1
        for i, estimate in enumerate((cut_off, plain)):
            covered_counts[i] += estimate.low <= true_share <= estimate.high
    assert covered_counts[0] == covered_counts[1]
    assert covered_counts[0] > 250


@pytest.mark.parametrize("count", [1, 4, 21])
def test_an_interval_of_too_few_or_too_many_sets_is_refused(count: int):
    with pytest.raises(ValueError, match="from 5 to 20 sets"):
        estimate_metric([1.0] * count)


def test_two_values_have_a_mean_and_a_width():
    mean, half_width = mean_and_half_width([1.0, 3.0])
    assert mean == 2
    assert half_width == pytest.approx(12.706 * math.sqrt(2) / math.sqrt(2))


def test_the_quantiles_are_those_of_student_s_t():
    """Against 400,000 draws of t = Z / sqrt(χ² / k)."""
    source = np.random.default_rng(0)
    for degrees in (4, 9, 19):
        t = source.standard_t(degrees, 400_000)
        assert STUDENT_T_QUANTILES[degrees - 1] == pytest.approx(np.quantile(t, 0.975), rel=0.015)
    assert len(STUDENT_T_QUANTILES) == 19


def draw_normal(source: np.random.Generator, n: int, mean: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(source.normal(mean, 1, (n, 2)))


STANDARD_NORMAL = fidelity.GaussianStatistics(np.zeros(2), np.eye(2))


def frechet(x: torch.Tensor) -> float:
    return fidelity.frechet_distance(fidelity.gaussian_statistics(x), STANDARD_NORMAL)


@pytest.mark.parametrize(
    ("mean", "measure"),
    [
        # far apart, the bias of 1 / n is negligible beside the spread of 1 / sqrt(n)
        (1.0, lambda x, seed: frechet(x)),
        # near, the bias is not negligible, and only the extrapolation covers the true distance
        (0.2, lambda x, seed: fidelity.extrapolated_frechet_distance(x, STANDARD_NORMAL, seed)),
    ],
)
def test_intervals_cover_a_known_distance_as_often_as_they_claim(mean: float, measure: object):
    """|m|² for N(m, I) and N(0, I). 95% of 200 is 190, with a standard deviation of 3.1."""
    source, true_distance, covered_count = np.random.default_rng(0), 2 * mean**2, 0
    for _ in range(200):
        estimate = estimate_metric([measure(draw_normal(source, 500, mean), seed) for seed in range(5)])
        covered_count += estimate.low <= true_distance <= estimate.high
    assert 190 - 4 * 3.1 <= covered_count <= 190 + 3 * 3.1


def test_without_extrapolation_the_interval_near_zero_misses():
    """This is why the floor is shown beside it: at distance 0 only the bias remains."""
    source = np.random.default_rng(0)
    estimate = estimate_metric([frechet(draw_normal(source, 200)) for _ in range(5)])
    assert estimate.low > 0


def test_disjoint_parts_cover_a_known_distance_as_often_as_they_claim():
    """Samples from a file: the estimate is that of all samples, the width that of five disjoint parts."""
    source, covered_count = np.random.default_rng(0), 0
    for _ in range(300):
        x = draw_normal(source, 1000, 1.0)
        estimate = estimate_metric([frechet(part) for part in x.chunk(5)], overall=frechet(x))
        covered_count += estimate.low <= 2 <= estimate.high
    assert 285 - 4 * 3.8 <= covered_count <= 285 + 3 * 3.8


def test_an_estimate_can_be_without_a_floor():
    assert Estimate(1, 0, 2, (1,)).real_against_real is None
