from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dcgan.comparison import figures


@pytest.mark.parametrize(("points", "marker"), [([(1, 2)], "o"), ([(1, 2), (3, 4)], "None")])
def test_a_curve_of_one_measurement_is_a_point(points: list[tuple[float, float]], marker: str):
    axes = Figure().subplots()
    figures._plot(axes, points, color="C1")
    assert axes.lines[0].get_marker() == marker


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_grid_that_is_gone_or_damaged_leaves_its_cell_empty(tmp_path: Path, content: bytes | None):
    path = tmp_path / "00000064.png"
    if content is not None:
        path.write_bytes(content)
    cell = Figure().subplots()
    figures._show_grid(cell, path)
    assert [text.get_text() for text in cell.texts] == ["no grid"]
