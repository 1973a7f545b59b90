import pytest

from benchmarks.claims.checks import measure_layer_sizes, measure_losses


def test_layer_sizes_are_those_of_the_formula():
    sizes = measure_layer_sizes()
    assert sizes["seen"] == sizes["by_formula"]
    assert sizes["seen"] == {"generator": [1, 3, 6, 13, 28], "discriminator": [28, 13, 5, 1]}


def test_the_code_minimizes_minus_log_d():
    losses = measure_losses()
    assert losses["generator_code"] == pytest.approx(losses["minus_log_d"], rel=1e-5)
    assert losses["log_one_minus_d"] < 0 < losses["generator_code"]
    assert losses["discriminator_code"] == pytest.approx(losses["minus_half_of_v"], rel=1e-5)
