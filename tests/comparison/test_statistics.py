import math

import numpy as np
import pytest

from dcgan.comparison.statistics import (
    SIGNIFICANCE_LEVEL,
    SeedSpread,
    compare_presets,
    permutation_test,
    spread_over_seeds,
)


def test_the_permutation_test_by_hand():
    assert permutation_test([1, 2, 3, 4], [5, 6, 7, 8]) == (pytest.approx(2 / 70), pytest.approx(2 / 70))
    assert permutation_test([1, 2], [1, 2])[0] == 1
    # of the ten ways to choose 2 of 1, 2, 3, 10, 11: only {10, 11} is as far from the mean of 2 * 5.4
    assert permutation_test([10, 11], [1, 2, 3]) == (pytest.approx(0.1), pytest.approx(0.1))


def test_p_is_significant_by_chance_as_rarely_as_it_claims():
    draws = np.random.default_rng(0).normal(size=(2000, 8))
    hits = sum(permutation_test(row[:4].tolist(), row[4:].tolist())[0] <= SIGNIFICANCE_LEVEL for row in draws)
    assert hits / 2000 <= 0.05
    assert hits / 2000 == pytest.approx(2 / 70, abs=0.012)


def test_an_interval_over_seeds_contains_the_mean_as_often_as_it_claims():
    draws = np.random.default_rng(1).normal(size=(4000, 3))
    contains_mean = [s.low <= 0 <= s.high for s in (spread_over_seeds(row.tolist()) for row in draws)]
    assert np.mean(contains_mean) == pytest.approx(0.95, abs=0.012)
    assert spread_over_seeds([2.5]) == SeedSpread(2.5, None, None, (2.5,))


def test_verdicts_name_their_statistic():
    clear = compare_presets("Fréchet distance", "a", [9, 8, 9, 8], "b", [1, 2, 1, 2])
    assert (clear.better, clear.worse) == ("b", "a")
    assert clear.text == (
        "b is better than a: Fréchet distance 8.5 against 1.5, p = 0.029 (exact permutation test, 4 and 4 seeds)"
    )
    unclear = compare_presets("Fréchet distance", "a", [1, 2, 3, 4], "b", [2, 3, 4, 5])
    assert unclear.better is None
    assert unclear.text.startswith("cannot tell a from b: Fréchet distance 2.5 against 3.5, p = 0.")
    assert math.isclose(unclear.p, permutation_test([1, 2, 3, 4], [2, 3, 4, 5])[0])
