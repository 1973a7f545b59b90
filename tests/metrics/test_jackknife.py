from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dcgan.metrics import fidelity, jackknife
from dcgan.metrics.intervals import jackknife_estimate, wilson_interval
from dcgan.metrics.jackknife import Jackknifed, mean_and_standard_error
from dcgan.metrics.limits import metric_limits

GENERATOR = torch.Generator().manual_seed(0)
FAKE, REAL, K = 1 + torch.randn(60, 5, generator=GENERATOR) * 1.2, torch.randn(50, 5, generator=GENERATOR), 3


def check(metric: Jackknifed, function: Callable[[Tensor, Tensor], float], tolerance: float = 1e-6) -> None:
    """Compare the metric, and its changes, with those that are computed again without each picture."""
    value = function(FAKE, REAL)
    assert metric.value == pytest.approx(value, abs=1e-6)
    for i in range(len(FAKE)):
        change = function(torch.cat([FAKE[:i], FAKE[i + 1 :]]), REAL) - value
        assert float(metric.without_fake[i]) == pytest.approx(change, abs=tolerance)
    for i in range(len(REAL)):
        change = function(FAKE, torch.cat([REAL[:i], REAL[i + 1 :]])) - value
        assert float(metric.without_real[i]) == pytest.approx(change, abs=tolerance)


def test_the_kernel_distance_without_each_picture():
    check(jackknife.kernel_distance(FAKE, REAL), fidelity.kernel_distance)
    known = jackknife.kernel_distance(FAKE, REAL, jackknife.kernel_sums(REAL))
    assert known.value == pytest.approx(fidelity.kernel_distance(FAKE, REAL), abs=1e-12)


@pytest.mark.parametrize("n", [3, 200, 530])
def test_the_kernel_of_each_pair_is_computed_once(n: int):
    features = torch.randn(n, 7, generator=torch.Generator().manual_seed(0))
    kernel = ((features.double() @ features.double().T / 7 + 1) ** 3).fill_diagonal_(0)
    sums = jackknife.kernel_sums(features)
    assert torch.allclose(sums.rows, kernel.sum(1), rtol=1e-12)
    assert sums.squares == pytest.approx(float(kernel.square().sum()), rel=1e-12)
    assert fidelity.mean_kernel(features) == pytest.approx(float(kernel.sum()) / (n * (n - 1)), rel=1e-12)


def test_the_interval_of_a_kernel_distance_is_a_little_wider_than_its_spread():
    """Of equal distributions, where the jackknife alone gives twice the variance, and of different ones."""
    for offset in (0.0, 0.5):
        pairs = [
            (torch.randn(40, 3, generator=GENERATOR) + offset, torch.randn(60, 3, generator=GENERATOR))
            for _ in range(300)
        ]
        metrics = [jackknife.kernel_distance(*pair) for pair in pairs]
        spread = torch.tensor([metric.value for metric in metrics]).std()
        errors = torch.tensor([mean_and_standard_error([metric])[1] for metric in metrics])
        assert 0.95 < errors.square().mean().sqrt() / spread < 1.35, offset


def test_precision_and_recall_without_each_picture():
    precision, recall = jackknife.precision_recall(FAKE, REAL, K)
    assert 0 < precision.value < 1
    check(precision, lambda fake, real: fidelity.precision_recall(fake, real, K)[0])
    check(recall, lambda fake, real: fidelity.precision_recall(fake, real, K)[1])


def test_density_and_coverage_without_each_picture():
    density, coverage = jackknife.density_coverage(FAKE, REAL, K)
    assert 0 < coverage.value < 1
    check(density, lambda fake, real: fidelity.density_coverage(fake, real, K)[0])
    check(coverage, lambda fake, real: fidelity.density_coverage(fake, real, K)[1])


def test_a_density_of_zero_is_as_uncertain_as_a_precision_of_zero():
    """No sample is near a real picture, with or without any of them, and nevertheless another sample may be."""
    far = FAKE + 1_000
    precision, _ = jackknife.precision_recall(far, REAL, K)
    density, _ = jackknife.density_coverage(far, REAL, K)
    estimates = [
        jackknife_estimate([metric] * 2, len(far), len(REAL), metric_limits(name))
        for name, metric in (("precision", precision), ("density", density))
    ]
    for estimate in estimates:
        assert (estimate.mean, estimate.low) == (0, 0)
        assert estimate.high == pytest.approx(wilson_interval(0, len(far))[1])


def test_a_density_above_zero_has_the_interval_of_the_jackknife():
    density, _ = jackknife.density_coverage(FAKE, REAL, K)
    limits = metric_limits("density")
    assert density.share_of is not None
    assert jackknife_estimate([density], len(FAKE), len(REAL), limits) == jackknife_estimate(
        [replace(density, share_of=None)], len(FAKE), len(REAL), limits
    )


def test_the_frechet_distance_changes_to_first_order():
    fake, real = torch.randn(3000, 4, generator=GENERATOR) * 1.5, torch.randn(3000, 4, generator=GENERATOR)
    statistics = fidelity.gaussian_statistics(real)

    def distance(features: Tensor) -> float:
        return fidelity.frechet_distance(fidelity.gaussian_statistics(features), statistics)

    metric = jackknife.frechet_distance(fake, real, fidelity.gaussian_statistics(fake), statistics)
    assert metric.value == distance(fake)
    for i in range(5):
        change = distance(torch.cat([fake[:i], fake[i + 1 :]])) - metric.value
        assert float(metric.without_fake[i]) == pytest.approx(change, abs=2e-5)


def test_features_that_do_not_vary_have_a_distance():
    flat = torch.ones(20, 4)
    statistics = fidelity.gaussian_statistics(flat)
    metric = jackknife.frechet_distance(flat, flat, statistics, statistics)
    assert mean_and_standard_error([metric]) == (0, 0)


def test_the_standard_error_of_a_mean_is_its_own():
    """The mean of the fakes, less that of the real pictures, has a known standard error."""
    fake, real = torch.randn(40, generator=GENERATOR).double(), torch.randn(30, generator=GENERATOR).double()
    changes = [(t.sum() - t) / (len(t) - 1) - t.mean() for t in (fake, real)]
    metric = Jackknifed(float(fake.mean() - real.mean()), changes[0], -changes[1])
    expected = float(fake.var() / 40 + real.var() / 30) ** 0.5
    assert mean_and_standard_error([metric])[1] == pytest.approx(expected)
    # five sets of samples against the same real pictures: only the part of the samples becomes smaller
    assert mean_and_standard_error([metric] * 5)[1] == pytest.approx(float(fake.var() / 200 + real.var() / 30) ** 0.5)
