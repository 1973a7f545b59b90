import math

import pytest
import torch

from dcgan.exporting.rounding import ROUNDING_FACTOR, ROUNDING_FLOOR, RoundingError, measure_error


def test_an_error_is_the_largest_difference_and_the_root_of_the_mean_square():
    error = measure_error(torch.tensor([0.0, -3.0, 0.0, 4.0]).double())
    assert (error.largest, error.root_mean_square) == (4, 2.5)


@pytest.mark.parametrize(("difference", "is_allowed"), [(0.0, True), (3e-5, True), (1e-3, False), (math.nan, False)])
def test_without_rounding_only_the_floor_is_allowed(difference: float, is_allowed: bool):
    assert RoundingError(difference, difference).is_allowed(RoundingError(0, 0)) == is_allowed


def test_more_is_allowed_where_rounding_is_larger():
    own = RoundingError(1e-3, 1e-5)
    largest, mean = (ROUNDING_FACTOR * value + ROUNDING_FLOOR for value in (own.largest, own.root_mean_square))
    assert RoundingError(largest, mean).is_allowed(own)
    assert not RoundingError(1.001 * largest, mean).is_allowed(own)
    assert not RoundingError(largest, 1.001 * mean).is_allowed(own)
