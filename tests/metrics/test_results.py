import json

import numpy as np
import pytest
import torch

from dcgan.metrics import fidelity
from dcgan.metrics.results import MIN_SEEDS, STUDENT_QUANTILES, Estimate, Evaluation, estimate, format_number


def test_an_interval_is_student_s():
    found = estimate([1, 2, 3, 4, 5])
    assert found.mean == 3
    # s = sqrt(2.5), t of 4 degrees of freedom 2.776
    assert found.high - found.mean == pytest.approx(2.776 * 2.5**0.5 / 5**0.5)
    assert found.low == pytest.approx(2 * found.mean - found.high)
    assert found.each == (1, 2, 3, 4, 5)


def test_a_whole_is_the_figure_and_its_parts_the_width():
    parts, whole = estimate([1, 2, 3, 4, 5]), estimate([1, 2, 3, 4, 5], whole=2.0, floor=0.5)
    assert (whole.mean, whole.real_against_real) == (2, 0.5)
    assert whole.high - whole.low == pytest.approx(parts.high - parts.low)


@pytest.mark.parametrize("count", [1, 4, 21])
def test_an_interval_of_too_few_is_refused(count: int):
    with pytest.raises(ValueError, match="from 5 to 20 sets"):
        estimate([1.0] * count)


def test_the_quantiles_are_student_s():
    """Against 400,000 draws of t = Z / sqrt(χ² / k)."""
    source = np.random.default_rng(0)
    for degrees in (4, 9, 19):
        t = source.standard_t(degrees, 400_000)
        assert STUDENT_QUANTILES[degrees - MIN_SEEDS + 1] == pytest.approx(np.quantile(t, 0.975), rel=0.015)
    assert len(STUDENT_QUANTILES) == 16


def gauss(source: np.random.Generator, n: int, mean: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(source.normal(mean, 1, (n, 2)))


REAL = fidelity.GaussianStatistics(np.zeros(2), np.eye(2))


@pytest.mark.parametrize(
    ("mean", "measure"),
    [
        # far apart, the bias of 1 / n is nothing beside the spread of 1 / sqrt(n)
        (1.0, lambda x, seed: fidelity.frechet_distance(fidelity.gaussian_statistics(x), REAL)),
        # near, it is not, and only what is extrapolated covers
        (0.2, lambda x, seed: fidelity.extrapolated_frechet_distance(x, REAL, seed)),
    ],
)
def test_intervals_cover_a_known_distance_as_often_as_they_claim(mean: float, measure: object):
    """|m|² for N(m, I) and N(0, I). 95% of 200 is 190, give or take 3.1 a standard deviation."""
    source, truth, covered = np.random.default_rng(0), 2 * mean**2, 0
    for _ in range(200):
        found = estimate([measure(gauss(source, 500, mean), seed) for seed in range(5)])
        covered += found.low <= truth <= found.high
    assert 190 - 4 * 3.1 <= covered <= 190 + 3 * 3.1


def test_without_extrapolation_the_interval_near_zero_misses():
    """Why the floor stands beside it: at distance 0 the bias is all there is."""
    source = np.random.default_rng(0)
    found = estimate(
        [fidelity.frechet_distance(fidelity.gaussian_statistics(gauss(source, 200)), REAL) for _ in range(5)]
    )
    assert found.low > 0


def test_parts_of_a_whole_cover_a_known_distance_as_often_as_they_claim():
    """Samples that came as a file: the figure of all, the width of five disjoint parts."""

    def measured(x: torch.Tensor) -> float:
        return fidelity.frechet_distance(fidelity.gaussian_statistics(x), REAL)

    source, covered = np.random.default_rng(0), 0
    for _ in range(300):
        x = gauss(source, 1000, 1.0)
        found = estimate([measured(part) for part in x.chunk(5)], whole=measured(x))
        covered += found.low <= 2 <= found.high
    assert 285 - 4 * 3.8 <= covered <= 285 + 3 * 3.8


def evaluation() -> Evaluation:
    metrics = {"frechet_inception_distance": estimate([1, 1, 1, 1, 2.0], floor=0.1), "own": estimate([1.0] * 5)}
    return Evaluation(
        source="runs/a",
        data="mnist",
        split="test",
        features="judge",
        n=1000,
        reference=10_000,
        seeds=(0, 1, 2, 3, 4),
        intervals="5 independent sample seeds",
        neighbours=5,
        metrics=metrics,
        classes={"0": 0.25, "1": 0.75},
        notes=("a note",),
        seconds=1.5,
    )


def test_no_figure_without_what_it_was_measured_with():
    found = json.loads(json.dumps(evaluation().as_json()))
    assert {"features", "n", "reference", "seeds", "split", "data", "neighbours", "confidence"} <= found.keys()
    distance = found["metrics"]["frechet_inception_distance"]
    assert distance.keys() == {"mean", "low", "high", "each", "real_against_real"}
    assert distance["real_against_real"] == 0.1
    text = evaluation().as_table()
    for word in ("judge", "1,000", "10,000 real", "seeds 0 to 4", "test part of mnist", "95%", "a note", "1 75.0%"):
        assert word in text
    [row] = [line.split() for line in text.splitlines() if "Fréchet" in line]
    assert row == ["Fréchet", "distance", "↓", "1.2", "0.6448", "to", "1.755", "0.1"]


def test_numbers_are_shown_with_four_digits():
    assert [format_number(x) for x in (0.0, 1.23456, 0.0123456, 12345.6, 0.00001, -0.5, float("inf"))] == [
        "0", "1.235", "0.01235", "12,346", "1.0e-05", "-0.5", "inf",
    ]  # fmt: skip


def test_a_figure_without_floor_says_so():
    assert Estimate(1, 0, 2, (1,)).real_against_real is None
