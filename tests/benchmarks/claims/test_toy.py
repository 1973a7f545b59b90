import math

import pytest

from benchmarks.claims import toy


def test_the_discriminator_learns_the_formula():
    result = toy.train_discriminator(0, steps=600)
    assert result["mean_distance_from_the_formula"] < 0.03
    # the Jensen-Shannon divergence of two distributions is ln 2 minus the least loss, and is between 0 and ln 2
    assert 0 < result["least_loss_by_the_formula"] < math.log(2)


@pytest.mark.slow
def test_the_generator_learns_the_data():
    result = toy.train_both(0, steps=1500)
    assert result["distance_to_data"] < 0.02 < 9 < result["distance_to_z"]
    assert result["d_real"] == pytest.approx(0.5, abs=0.02)
    assert result["d_fake"] == pytest.approx(0.5, abs=0.02)


def test_a_blind_discriminator_has_the_losses_of_the_optimum():
    result = toy.measure_blind_discriminator()
    assert result["loss_d"] == pytest.approx(math.log(2))
    assert result["loss_g"] == pytest.approx(math.log(2))
    assert result["distance_to_data"] == 9.25
