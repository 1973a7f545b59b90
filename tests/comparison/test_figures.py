import pytest
from matplotlib.figure import Figure

from dcgan.comparison import figures


@pytest.mark.parametrize(("points", "marker"), [([(1, 2)], "o"), ([(1, 2), (3, 4)], "None")])
def test_a_curve_of_one_measurement_is_a_point(points: list[tuple[float, float]], marker: str):
    axes = Figure().subplots()
    figures._plot(axes, points, color="C1")
    assert axes.lines[0].get_marker() == marker
