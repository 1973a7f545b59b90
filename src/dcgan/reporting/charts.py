"""Line charts as plain data: the page draws them as SVG, sharp at every size and dark where the page is dark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgan.metrics.results import format_number

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 24
"""Margins, in the units of the SVG: about pixels on a phone."""
POINTS = 300
"""Most points of a line. Of more, as many together become one: their mean, with a band from the least to the most."""
OUTLYING = 3
"""A range this many times as wide as that of the middle 98% is cut to it: one spike must not flatten all the rest."""

Points = Sequence[tuple[float, float]]
Scale = Callable[[float], float]


@dataclass(frozen=True)
class ChartLine:
    """One curve: its name, its SVG points, and those of the band around it (empty where nothing was averaged)."""

    name: str
    points: str
    band: str
    last: float


@dataclass(frozen=True)
class Chart:
    """A chart in SVG's units.

    Attributes:
        title: what is drawn.
        alt: the same in words, for those who do not see it.
        lines: the curves.
        x_ticks: where, and what is written there.
        y_ticks: the same.
        reference: a height with a name, such as an optimum; or None.
        marks: places on the x axis with a number each: events.
        note: what one must know to read it.
    """

    title: str
    alt: str
    lines: tuple[ChartLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    reference: tuple[float, str] | None
    marks: tuple[tuple[float, int], ...]
    note: str


def layout_chart(
    title: str,
    series: Mapping[str, Points],
    *,
    reference: tuple[float, str] | None = None,
    marks: Sequence[tuple[float, int]] = (),
    between: tuple[float, float] | None = None,
    until: float = 1.0,
) -> Chart:
    """Lay a chart out.

    Args:
        title: what is drawn.
        series: (x, y) of each curve, x ascending, all finite; at least one point in all.
        reference: a height to compare with, and its name.
        marks: (x, number) of events.
        between: the range of y; without it, that of the points.
        until: where the x axis ends at least, so that all charts of a run go on equally far.
    """
    xs = [x for points in series.values() for x, _ in points] + [x for x, _ in marks]
    ys = [y for points in series.values() for _, y in points] + ([reference[0]] if reference else [])
    (low, high), is_cut = (between, False) if between else _range(ys)
    left, right = 0.0, max([*xs, until])
    x_ticks, y_ticks = _ticks(left, right), _ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def x_at(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - left) / (right - left)

    def y_at(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - min(max(y, low), high)) / (high - low)

    lines = tuple(_line(name, points, x_at, y_at) for name, points in series.items() if points)
    words = "; ".join(
        f"{name} from {format_number(p[0][1])} to {format_number(p[-1][1])}" for name, p in series.items() if p
    )
    return Chart(
        title,
        f"{title} over {short_count(right)} images seen: {words}",
        lines,
        tuple((round(x_at(x), 1), short_count(x)) for x in x_ticks if x <= right),
        tuple((round(y_at(y), 1), f"{y:.6g}") for y in y_ticks),
        (round(y_at(reference[0]), 1), reference[1]) if reference else None,
        tuple((round(x_at(x), 1), n) for x, n in marks),
        "Values beyond the middle 98% are cut off at the edge." if is_cut else "",
    )


def _range(ys: Sequence[float]) -> tuple[tuple[float, float], bool]:
    """The range to draw, and whether outlying values are cut off by it."""
    low, high = min(ys), max(ys)
    inner_low, inner_high = (float(q) for q in np.quantile(ys, [0.01, 0.99]))
    is_cut = high - low > OUTLYING * (inner_high - inner_low) > 0
    low, high = (inner_low, inner_high) if is_cut else (low, high)
    margin = (high - low) or abs(high) or 1.0
    return (low, high if high > low else low + margin), is_cut


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator  # not before a training has begun: it is slow to import

    return [float(tick) for tick in MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def _line(name: str, points: Points, x_at: Scale, y_at: Scale) -> ChartLine:
    """A curve of at most `POINTS` points, with a band where several became one."""
    groups = np.array_split(np.asarray(points, np.float64), min(len(points), POINTS))
    middle = [(x_at(g[:, 0].mean()), y_at(g[:, 1].mean())) for g in groups]
    is_thinned = len(points) > POINTS
    upper = [(x, y_at(g[:, 1].max())) for (x, _), g in zip(middle, groups, strict=True)] if is_thinned else []
    lower = [(x, y_at(g[:, 1].min())) for (x, _), g in zip(middle, groups, strict=True)] if is_thinned else []
    return ChartLine(name, _svg(middle), _svg([*upper, *reversed(lower)]), points[-1][1])


def _svg(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def short_count(count: float) -> str:
    """A number of images as it stands at an axis: 0, 500, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{letter}"
    return f"{count:.4g}"
