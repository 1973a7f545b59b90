import pytest

from dcgan.reporting.charts import MAX_POINTS, layout_chart
from dcgan.reporting.series import ChartData


def test_a_spike_is_cut_off_and_many_points_are_averaged():
    points = [(float(i), float(i % 2)) for i in range(3000)]
    chart = layout_chart(ChartData("Losses", {"loss": [*points, (3000.0, 1e9)]}))
    assert "cut off" in chart.note
    assert [label for _, label in chart.y_ticks] == ["0", "0.25", "0.5", "0.75", "1"]
    (curve,) = chart.curves
    assert len(curve.points.split()) == MAX_POINTS
    assert len(curve.band.split()) == 2 * MAX_POINTS
    heights = [float(point.split(",")[1]) for point in curve.points.split()[:-1]]
    assert max(heights) - min(heights) < 10  # means of ten are all a half, while the band goes from 0 to 1


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5])
def test_a_single_point_has_a_chart(value: float):
    chart = layout_chart(ChartData("Losses", {"loss": [(0.0, value)]}))
    assert len(chart.y_ticks) >= 2
    (curve,) = chart.curves
    first, second = curve.points.split()  # browsers draw nothing of a line with one point
    assert first == second
    assert curve.is_point
    assert chart.alt == f"Losses over 1 images seen: loss from {value:.4g} to {value:.4g}"
