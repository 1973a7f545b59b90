import math
from typing import get_args

import pytest

from dcgan.config import ScoreKind
from dcgan.reporting.series import distance_chart, grid_chart, loss_chart, metric_points, score_chart

MEASUREMENTS = [
    {"images_seen": 0, "loss_d": 0.5, "loss_g": 1.0, "d_real": 0.75, "d_fake": 0.25},
    {"images_seen": 64, "loss_d": 0.6, "loss_g": 0.9, "d_real": 2000.0, "d_fake": -3000.0},
]


def test_probabilities_are_drawn_against_their_optimum():
    losses, scores = loss_chart(MEASUREMENTS, "probability"), score_chart(MEASUREMENTS, "probability")
    assert losses.reference is not None
    assert losses.reference.y == pytest.approx(math.log(2))
    assert scores.reference is not None
    assert (scores.reference.y, scores.y_limits) == (0.5, (0, 1))


def test_raw_scores_have_neither_limits_nor_an_optimum():
    losses, scores = loss_chart(MEASUREMENTS, "raw"), score_chart(MEASUREMENTS, "raw")
    assert losses.reference is None
    assert (scores.reference, scores.y_limits) == (None, None)


@pytest.mark.parametrize("score_kind", ["probability", "raw"])
def test_scores_of_real_and_generated_pictures_have_a_curve_each(score_kind: ScoreKind):
    assert score_chart(MEASUREMENTS, score_kind).curves == {
        "D(x)": [(0.0, 0.75), (64.0, 2000.0)],
        "D(G(z))": [(0.0, 0.25), (64.0, -3000.0)],
    }


def test_relative_scores_are_drawn_as_the_probability_that_the_real_picture_scores_higher():
    chart = score_chart(MEASUREMENTS, "relative")
    ((_, first), (_, last)) = chart.curves["σ(D(x) − D(G(z)))"]
    assert first == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert last == 1  # exp would overflow
    assert chart.y_limits == (0, 1)


@pytest.mark.parametrize("score_kind", get_args(ScoreKind))
def test_losses_have_a_curve_each_for_every_kind_of_scores(score_kind: ScoreKind):
    curves = loss_chart(MEASUREMENTS, score_kind).curves
    if score_kind == "none":
        assert curves == {"Loss_G": [(0.0, 1.0), (64.0, 0.9)]}
        return
    assert curves == {"Loss_D": [(0.0, 0.5), (64.0, 0.6)], "Loss_G": [(0.0, 1.0), (64.0, 0.9)]}


def test_values_that_are_no_finite_number_are_left_out():
    entries = [{"images_seen": i, "x": value} for i, value in enumerate([1, math.nan, None, "2", True, 3.5])]
    assert metric_points(entries, "x") == [(0.0, 1.0), (5.0, 3.5)]


def test_distances_of_other_features_are_not_in_one_curve():
    """Version 0.1.0 measured larger pictures on features of shrunken ones."""
    values = [("random", 0.1), ("random (full size)", 3.0), ("random (full size)", 2.0)]
    events = [
        {"event": "measured", "images_seen": i, "features": features, "frechet_inception_distance": value}
        for i, (features, value) in enumerate(values)
    ]
    assert distance_chart(events).curves == {"distance (less is better)": [(1.0, 3.0), (2.0, 2.0)]}


def test_each_chart_of_events_has_its_own_kind():
    events = [
        {"event": "measured", "images_seen": 8, "frechet_inception_distance": 3.0},
        {"event": "pictures", "images_seen": 16, "diversity": 0.5},
    ]
    assert distance_chart(events).curves == {"distance (less is better)": [(8.0, 3.0)]}
    assert grid_chart(events).curves == {"diversity": [(16.0, 0.5)], "nearness": []}
    assert not distance_chart(events[1:]).has_points
