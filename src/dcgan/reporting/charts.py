"""Line charts laid out as SVG: sharp at every size, and dark where the page is dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.metrics.results import format_number
from dcgan.reporting.formatting import format_short_count
from dcgan.reporting.series import ChartData, Points

WIDTH, HEIGHT = 400, 230
"""Size of a chart in units of the SVG, which are about pixels on a phone."""
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 24
"""Margins around the axes, in the same units."""
MAX_POINTS = 300
"""Points of a line. When there are more, neighboring points are averaged: the line shows the means, and a band around
it reaches from the least to the greatest."""
MAX_RANGE_RATIO = 3
"""When the range of the values is this many times as wide as that of the middle 98%, the axis shows only the latter:
one spike must not flatten everything else."""

Scale = Callable[[float], float]
"""From a value to its place in the SVG."""


@dataclass(frozen=True)
class SvgCurve:
    """One curve.

    Attributes:
        name: of the curve.
        points: the `points` of the SVG's polyline; a single one stands there twice, since nothing is drawn of one.
        is_point: whether there is only one.
        band: the `points` of the polygon around it; empty where nothing was averaged.
    """

    name: str
    points: str
    is_point: bool
    band: str


@dataclass(frozen=True)
class SvgChart:
    """A chart in units of the SVG.

    Attributes:
        title: what is drawn.
        alt: the same in words, for those who cannot see it.
        curves: the curves.
        x_ticks: (x, label) of each tick.
        y_ticks: (y, label) of each tick.
        reference: (y, name) of a line to compare with, or None.
        marks: (x, number) of each event.
        note: what one must know to read the chart.
    """

    title: str
    alt: str
    curves: tuple[SvgCurve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    reference: tuple[float, str] | None
    marks: tuple[tuple[float, int], ...]
    note: str


def layout_chart(chart: ChartData, *, marks: Sequence[tuple[float, int]] = (), min_x_end: float = 1.0) -> SvgChart:
    """Lay a chart out as SVG.

    Args:
        chart: what to draw; at least one curve has a point.
        marks: (x, number) of each event.
        min_x_end: the x axis ends here or further right, so that all charts of a run have the same axis.
    """
    xs = [x for points in chart.curves.values() for x, _ in points] + [x for x, _ in marks]
    ys = [y for points in chart.curves.values() for _, y in points]
    ys += [chart.reference.y] if chart.reference else []
    (low, high), is_cut = (chart.y_limits, False) if chart.y_limits else _y_range(ys)
    x_end = max([*xs, min_x_end])
    x_ticks, y_ticks = _ticks(0.0, x_end), _ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def to_svg_x(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / x_end

    def to_svg_y(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - min(max(y, low), high)) / (high - low)

    return SvgChart(
        title=chart.title,
        alt=_describe(chart, x_end),
        curves=tuple(_curve(name, points, to_svg_x, to_svg_y) for name, points in chart.curves.items() if points),
        x_ticks=tuple((round(to_svg_x(x), 1), format_short_count(x)) for x in x_ticks if x <= x_end),
        y_ticks=tuple((round(to_svg_y(y), 1), f"{y:.6g}") for y in y_ticks),
        reference=(round(to_svg_y(chart.reference.y), 1), chart.reference.name) if chart.reference else None,
        marks=tuple((round(to_svg_x(x), 1), number) for x, number in marks),
        note="Values beyond the middle 98% are cut off at the edge." if is_cut else "",
    )


def _describe(chart: ChartData, x_end: float) -> str:
    """Return the chart in words: where each curve starts and ends."""
    ends = "; ".join(
        f"{name} from {format_number(points[0][1])} to {format_number(points[-1][1])}"
        for name, points in chart.curves.items()
        if points
    )
    return f"{chart.title} over {format_short_count(x_end)} images seen: {ends}"


def _y_range(ys: Sequence[float]) -> tuple[tuple[float, float], bool]:
    """Return the range of the y axis, and whether it cuts off outlying values."""
    low, high = min(ys), max(ys)
    inner_low, inner_high = (float(q) for q in np.quantile(ys, [0.01, 0.99]))
    is_cut = high - low > MAX_RANGE_RATIO * (inner_high - inner_low) > 0
    low, high = (inner_low, inner_high) if is_cut else (low, high)
    margin = (high - low) or abs(high) or 1.0
    return (low, high if high > low else low + margin), is_cut


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator  # slow to import: not before a training starts

    return [float(tick) for tick in MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def _curve(name: str, points: Points, to_svg_x: Scale, to_svg_y: Scale) -> SvgCurve:
    """Return a curve of at most `MAX_POINTS` points, with a band where several points became one."""
    groups = np.array_split(np.asarray(points, np.float64), min(len(points), MAX_POINTS))
    xs = [to_svg_x(group[:, 0].mean()) for group in groups]
    means, tops, bottoms = ([to_svg_y(float(f(group[:, 1]))) for group in groups] for f in (np.mean, np.max, np.min))
    line = list(zip(xs, means, strict=True))
    band = [*zip(xs, tops, strict=True), *reversed(list(zip(xs, bottoms, strict=True)))]
    is_point = len(line) == 1
    return SvgCurve(
        name,
        _svg_points(line * 2 if is_point else line),
        is_point,
        _svg_points(band) if len(points) > MAX_POINTS else "",
    )


def _svg_points(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
