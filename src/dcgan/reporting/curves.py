"""The curves of a run as a PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan.config import ScoreKind
from dcgan.files import atomic_file
from dcgan.reporting.series import ChartData, loss_chart, score_chart
from dcgan.run.log import LogEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curves(measurements: Sequence[LogEntry], path: Path, score_kind: ScoreKind) -> None:
    """Draw losses and scores over images seen as a PNG.

    Args:
        measurements: of the metrics log.
        path: the PNG to write.
        score_kind: what the discriminator's scores are; it decides what they are compared with.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import: not before a training starts
    from matplotlib.figure import Figure

    charts = [loss_chart(measurements, score_kind), score_chart(measurements, score_kind)]
    charts = [chart for chart in charts if chart.curves]
    height = 3.5 * len(charts)
    figure = Figure(figsize=(8, height))
    FigureCanvasAgg(figure)
    # Margins in inches: the automatic layouts of matplotlib draw the whole figure several times.
    figure.subplots_adjust(left=0.8 / 8, right=7.9 / 8, bottom=0.5 / height, top=1 - 0.25 / height, hspace=0.06)
    rows = figure.subplots(len(charts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, chart in zip(rows, charts, strict=True):
        _draw_chart(axes, chart)
    rows[-1].set_xlabel("images seen")
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _draw_chart(axes: "Axes", chart: ChartData) -> None:
    for name, points in chart.curves.items():
        marker = "o" if len(points) == 1 else ""  # a line through one point shows nothing
        axes.plot([x for x, _ in points], [y for _, y in points], label=name, lw=1, marker=marker, ms=4)
    if chart.reference:
        axes.axhline(chart.reference.y, color="gray", ls=":", lw=1, label=chart.reference.name)
    if chart.y_limits:
        axes.set_ylim(*chart.y_limits)
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))  # a wide number would run into the label
    axes.set_ylabel(chart.y_label)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", frameon=False)
